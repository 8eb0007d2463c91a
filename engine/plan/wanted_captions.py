"""Which pictures of a project are to be captioned, and what their captions are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.plan.caption_files import read_for_editing
from engine.plan.captions import NotUTF8Error, caption_candidates, caption_file
from engine.plan.folders import KINDS, Kind, find_folders
from engine.plan.pictures import picture_files
from engine.plan.project import Project


@dataclass(frozen=True)
class Wanted:
    """A picture to be captioned. path: relative to the project. before: its caption now, None where there is none."""

    path: str
    kind: Kind
    class_words: str
    before: str | None


def wanted_captions(project: Project, folders: Literal["train", "reg", "both"], extension: str) -> list[Wanted]:
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
