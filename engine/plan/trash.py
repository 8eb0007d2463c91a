"""Throwing pictures away: with their captions into the project's own trash, from which they can be taken back."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from engine.plan.picture_copies import captions_of
from engine.plan.project import Project
from engine.plan.writing import writing


def trash_dir(project: Path) -> Path:
    """Where what was thrown away lies: in a folder for each time, and in it by the folder that it came from."""
    return project / ".lora-tui" / "trash"


def throw_away(project: Project, pictures: Iterable[Path], now: float | None = None) -> int:
    """Move pictures and their captions to the trash; how many pictures these were.

    Nothing there is overwritten. Raises UserError `disk-full`, `not-writable`.
    """
    stamp = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(now))
    count = 0
    for picture in pictures:
        place = trash_dir(project.path) / stamp / picture.parent.name
        with writing(place):
            place.mkdir(parents=True, exist_ok=True)
            for path in [*captions_of(picture), picture]:
                if os.path.lexists(path):
                    shutil.move(path, _free(place, path.name))
        count += 1
    return count


def _free(folder: Path, name: str) -> Path:
    stem, suffix = os.path.splitext(name)
    path, number = folder / name, 1
    while os.path.lexists(path):
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path
