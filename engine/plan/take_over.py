"""Bringing the pictures of a folder into a project that is there already, with the captions beside them.

Nothing is ever overwritten, and the folder they come from is only read. Each file appears whole or not at all, so a
disk that is full half-way, or somebody who stops it, leaves nothing broken.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.captions import caption_candidates
from engine.plan.errors import UserError
from engine.plan.files import disk_errors
from engine.plan.folders import Kind, numbered_folders, require_folder
from engine.plan.option_values import is_plain_name
from engine.plan.pictures import picture_files

if TYPE_CHECKING:
    from engine.plan.project import Project

CAPTION_EXTENSIONS = (".txt", ".caption")
USUAL_REPEATS = 25  # the guide's


@dataclass
class Taken:
    """What has been brought into `folder`: pictures added, those that were there already, those that got another name
    because theirs was taken, and captions."""

    folder: Path
    added: int = 0
    skipped: int = 0
    renamed: int = 0
    captions: int = 0


def take_over(
    project: Project,
    source: Path,
    kind: Kind,
    *,
    link: bool = False,
    repeats: int = USUAL_REPEATS,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Taken:
    """Copy (or link) the pictures directly in `source` into the project's pictures or regularisation pictures.

    They go into the first numbered folder there is, else into a new one: `repeats` and the project's words, or 1 and
    its class. `progress(done, total)` after each picture; what was taken before `cancelled()` stays. Raises UserError:
    `no-such-folder`, `not-a-folder`, `no-pictures`, `own-folder`, `bad-name`, `disk-full`, `not-writable`.
    """
    require_folder(source, "a folder of pictures")
    target = _target(project, kind, repeats)
    if source.resolve() == target.resolve():
        raise UserError("own-folder", f"{source} is the project's own folder; its pictures are used already.")
    pictures = picture_files(source)[0]
    if not pictures:
        raise UserError(
            "no-pictures",
            f"There is no picture in {source}.",
            "Pictures are .png, .jpg, .webp or .bmp files, directly in that folder.",
        )
    taken = Taken(target)
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        for done, picture in enumerate(pictures, 1):
            if cancelled():
                break
            _take(picture, target, link, taken)
            if progress is not None:
                progress(done, len(pictures))
    return taken


def captions_of(picture: Path) -> Iterator[Path]:
    """The caption files that lie beside a picture."""
    for extension in CAPTION_EXTENSIONS:
        for caption in caption_candidates(picture, extension):
            if caption.is_file():
                yield caption


def _target(project: Project, kind: Kind, repeats: int) -> Path:
    """The folder that the pictures go into; it may not exist yet."""
    parent = project.image_dir if kind == "train" else project.reg_dir
    if there := numbered_folders(parent):
        return there[0]
    words = f"{project.trigger} {project.class_name}".strip() if kind == "train" else project.class_name
    if not words:
        raise UserError(
            "bad-name",
            "The project has no trigger word." if kind == "train" else "Regularisation pictures show a class.",
            "Give it a trigger word first." if kind == "train" else "Give the project its class word first, e.g. man.",
        )
    if not is_plain_name(words):
        raise UserError("bad-name", f'"{words}" cannot be part of a folder name.', "Use letters, digits and spaces.")
    return parent / f"{repeats if kind == 'train' else 1}_{words}"


def _take(picture: Path, target: Path, link: bool, taken: Taken) -> None:
    """One picture and its captions, under the first name that is free."""
    number = 1
    while True:
        place = target / (picture.name if number == 1 else f"{picture.stem}-{number}{picture.suffix}")
        if not os.path.lexists(place):
            break
        if place.is_file() and filecmp.cmp(picture, place, shallow=False):
            taken.skipped += 1
            return
        number += 1
    if link:
        os.symlink(picture.resolve(), place)
    else:
        _copy(picture, place)
    taken.added += 1
    taken.renamed += number > 1
    for caption in captions_of(picture):
        # Of `hat.txt` beside `hat.png` that became `hat-2.png` the name is `hat-2.txt`.
        name = caption.name if number == 1 else f"{place.stem}{caption.suffix}"
        if not os.path.lexists(target / name):
            _copy(caption, target / name)
            taken.captions += 1


def _copy(source: Path, place: Path) -> None:
    handle, beside = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=place.parent)
    os.close(handle)
    try:
        shutil.copyfile(source, beside)
        os.chmod(beside, 0o644)
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
