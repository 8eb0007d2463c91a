"""Which pictures of a project are to be captioned, what their captions are now, and how many there are of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan.caption_files import read_for_editing
from engine.plan.captions import NotUTF8Error, caption_candidates, caption_file
from engine.plan.folders import KINDS, Kind, find_folders
from engine.plan.pictures import Size, picture_files
from engine.plan.project import Project

Folders = Literal["train", "reg", "both"]


@dataclass(frozen=True)
class Wanted:
    """A picture to be captioned. path: relative to the project. before: its caption now, None where there is none."""

    path: str
    kind: Kind
    class_words: str
    before: str | None


def wanted_captions(project: Project, folders: Folders, extension: str) -> list[Wanted]:
    """The pictures in these folders that are not left out, in the order in which they are trained.

    Of several pictures that share a caption file (a.png and a.jpg) only the first. Raises UserError `not-readable`.
    """
    left_out, captions, found = set(project.left_out), set(), []
    parents = {"train": project.image_dir, "reg": project.reg_dir}
    for kind in KINDS:
        if folders not in (kind, "both"):
            continue
        for folder in find_folders(parents[kind], kind, project.repeats)[0]:
            for picture in picture_files(folder.path)[0]:
                path, there = project.relative(picture), caption_file(picture, extension)
                caption = there or caption_candidates(picture, extension)[0]
                if path in left_out or caption in captions:
                    continue
                captions.add(caption)
                before: str | None = None
                if there is not None:
                    try:
                        before = read_for_editing(picture, extension)
                    except NotUTF8Error:
                        before = None  # whoever would write over it is told then
                found.append(Wanted(path, kind, folder.class_words, before))
    return found


@dataclass(frozen=True)
class Counts:
    """How many pictures that can be read have no caption, and have one; the same of pictures that cannot be read; and
    how many of those that can be read have a caption that is not UTF-8, over which nothing is written.
    """

    missing: int = 0
    there: int = 0
    broken_missing: int = 0
    broken_there: int = 0
    not_utf8: int = 0


def count_captions(project: Project, folders: Folders, extension: str, measure: Callable[[Path], Size]) -> Counts:
    """Reads every caption, and looks whether every picture can be read. Raises UserError `not-readable`."""
    counts = dict.fromkeys(Counts.__dataclass_fields__, 0)
    for wanted in wanted_captions(project, folders, extension):
        picture = project.path / wanted.path
        broken = "broken_" if measure(picture).problem else ""
        if wanted.before:
            counts[f"{broken}there"] += 1
        elif not broken and wanted.before is None and caption_file(picture, extension) is not None:
            counts["not_utf8"] += 1
        else:
            counts[f"{broken}missing"] += 1
    return Counts(**counts)
