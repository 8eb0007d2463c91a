"""The training pictures with their captions, and nothing else of them: half a second for 10,000, and no broken file
stops it.

A survey measures every picture first; the editor of captions shows these until there is one.
"""

from __future__ import annotations

import os
from pathlib import Path

from engine.plan.captions import NotUTF8Error, caption_candidates, read_caption
from engine.plan.dataset import Picture
from engine.plan.errors import Finding, UserError
from engine.plan.folders import Folder, find_folders
from engine.plan.picture_problems import not_utf8
from engine.plan.pictures import EXTENSIONS
from engine.plan.project import Project


def captions_alone(project: Project, extension: str) -> tuple[Picture, ...]:
    """The pictures that are not left out, in their order; sizes are not known. Never raises.

    A caption that is not UTF-8 is "", with the problem `caption-not-utf8`; other problems are as in a survey.
    """
    left_out = {project.path / path for path in project.left_out}
    found: list[Picture] = []
    try:
        folders, _ = find_folders(project.image_dir, "train", project.repeats)
        for folder in folders:
            found += _pictures(folder, left_out, extension)
    except (UserError, OSError):
        pass  # what is amiss is told by the survey
    return tuple(found)


def _pictures(folder: Folder, left_out: set[Path], extension: str) -> list[Picture]:
    with os.scandir(folder.path) as entries:
        files = {entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()}
    found = []
    for name in sorted(name for name in files if os.path.splitext(name)[1].lower() in EXTENSIONS):
        path = folder.path / name
        if path in left_out:
            continue
        text: str = folder.class_words
        file: Path | None = None
        problems: tuple[Finding, ...] = ()
        if any(candidate.name in files for candidate in caption_candidates(path, extension)):
            text, file, problems = _read(path, extension, folder.class_words)
        size = (0, 0)
        found.append(
            Picture(path, "train", folder.name, *size, size, size, folder.repeats, text, file, False, problems)
        )
    return found


def _read(path: Path, extension: str, class_words: str) -> tuple[str, Path | None, tuple[Finding, ...]]:
    try:
        caption = read_caption(path, extension, class_words)
        return caption.text, caption.path, (caption.problem,) if caption.problem is not None else ()
    except NotUTF8Error as error:
        return "", error.path, (not_utf8(error),)
