"""Where finished LoRAs go: written into the run's own folder, then linked into the project's `model/`.

A name that another run has taken there is never overwritten: the newer one becomes NAME-2, and the run says so.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from engine.plan.files import disk_errors


def free_name(model_dir: Path, wanted: str) -> str:
    """`wanted`, or with -2, -3, … where a LoRA of that name (any epoch or step of it) lies in `model_dir` already."""
    taken = {p.stem for p in model_dir.glob("*.safetensors")} if model_dir.is_dir() else set()

    def is_taken(name: str) -> bool:
        return any(re.fullmatch(re.escape(name) + r"(-\d{6}|-step\d{8})?", stem) for stem in taken)

    name, number = wanted, 1
    while is_taken(name):
        number += 1
        name = f"{wanted}-{number}"
    return name


def epoch_file(name: str, epoch: int) -> str:
    """sd-scripts' name for the LoRA after `epoch` (`train_util.EPOCH_FILE_NAME`)."""
    return f"{name}-{epoch:06d}.safetensors"


def step_file(name: str, step: int) -> str:
    """sd-scripts' name for a LoRA saved in the middle (`train_util.STEP_FILE_NAME`)."""
    return f"{name}-step{step:08d}.safetensors"


def publish(file: Path, model_dir: Path) -> Path:
    """Make `file` appear in `model_dir` under its own name: as a hard link, or as a copy where links are impossible.

    Another file that has come to lie there in the meantime is left alone, and the new one gets -2, -3, … at its end.
    Returns where it is. Raises UserError: `disk-full`, `not-writable`.
    """
    with disk_errors(model_dir / file.name):
        model_dir.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            target = model_dir / (file.name if number == 1 else f"{file.stem}-{number}{file.suffix}")
            try:
                _appear(file, target)
            except FileExistsError:
                number += 1
            else:
                return target


def _appear(file: Path, target: Path) -> None:
    """`file` at `target`, whole or not at all. Raises FileExistsError where something else is there."""
    try:
        os.link(file, target)  # never replaces anything
        return
    except FileExistsError:
        if target.exists() and target.samefile(file):
            return
        raise
    except OSError:  # a disk without hard links, or another disk
        pass
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(file, beside)
        if target.exists():
            raise FileExistsError(target)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
