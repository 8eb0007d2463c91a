"""Which pictures of a project are to be captioned, what their captions are now, and how many there are of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan.caption_files import caption_path
from engine.plan.captions import Caption, NotUTF8Error, read_caption
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
    return [wanted for wanted, _ in _looked_at(project, folders, extension)]


def _looked_at(project: Project, folders: Folders, extension: str) -> Iterator[tuple[Wanted, Caption | None]]:
    """With what its file says now, None where that is not UTF-8: whoever would write over it is told then."""
    left_out, captions = set(project.left_out), set()
    parents = {"train": project.image_dir, "reg": project.reg_dir}
    for kind in KINDS:
        if folders not in (kind, "both"):
            continue
        for folder in find_folders(parents[kind], kind, project.repeats)[0]:
            for picture in picture_files(folder.path)[0]:
                path, file = project.relative(picture), caption_path(picture, extension)
                if path in left_out or file in captions:
                    continue
                captions.add(file)
                try:
                    caption = read_caption(picture, extension, "")
                except NotUTF8Error:
                    yield Wanted(path, kind, folder.class_words, None), None
                    continue
                before = caption.text if caption.path is not None else None
                yield Wanted(path, kind, folder.class_words, before), caption


@dataclass(frozen=True)
class Counts:
    """How many pictures that can be read have no caption, and have one; the same of pictures that cannot be read.

    Of those that can be read also: how many have a caption that is not UTF-8, over which nothing is written; how many
    have words below the first line of their caption, which go when it is written; and how many of these have a blank
    first line, so that they count as without a caption.
    """

    missing: int = 0
    there: int = 0
    broken_missing: int = 0
    broken_there: int = 0
    not_utf8: int = 0
    several_lines: int = 0
    blank_first: int = 0


def count_captions(project: Project, folders: Folders, extension: str, measure: Callable[[Path], Size]) -> Counts:
    """Reads every caption, and looks whether every picture can be read. Raises UserError `not-readable`."""
    counts = dict.fromkeys(Counts.__dataclass_fields__, 0)
    for wanted, caption in _looked_at(project, folders, extension):
        broken = "broken_" if measure(project.path / wanted.path).problem else ""
        if not broken and caption is None:
            counts["not_utf8"] += 1
            continue
        counts[f"{broken}{'there' if wanted.before else 'missing'}"] += 1
        if not broken and caption is not None and len(caption.lines) > bool(caption.text):
            counts["several_lines"] += 1
            counts["blank_first"] += not caption.text
    return Counts(**counts)
