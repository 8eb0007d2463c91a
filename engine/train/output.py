"""Where finished LoRAs go: written into the run's own folder, then linked into the project's `model/`.

A name that another run has taken there is never overwritten: the newer one becomes NAME-2, and the run says so.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from engine.plan.files import disk_errors
from engine.plan.lora_names import is_own


def epoch_file(name: str, epoch: int) -> str:
    """sd-scripts' name for the LoRA after `epoch` (`train_util.EPOCH_FILE_NAME`)."""
    return f"{name}-{epoch:06d}.safetensors"


def step_file(name: str, step: int) -> str:
    """sd-scripts' name for a LoRA saved in the middle (`train_util.STEP_FILE_NAME`)."""
    return f"{name}-step{step:08d}.safetensors"


def epoch_of(name: str, file: str) -> int:
    """Which epoch's LoRA of the run called `name` a file is; 0 for none."""
    found = re.fullmatch(re.escape(name) + r"-(\d{6})\.safetensors", file)
    return int(found[1]) if found else 0


def step_of(name: str, file: str) -> int:
    """Which step's LoRA of the run called `name` a file is; 0 for none."""
    found = re.fullmatch(re.escape(name) + r"-step(\d{8})\.safetensors", file)
    return int(found[1]) if found else 0


def withdraw(file: Path, model_dir: Path, session_id: int) -> None:
    """Take out of `model_dir` what `publish` put there for `file`; whatever else has its name there stays."""
    pattern = re.compile(re.escape(file.stem) + r"(-\d+)?" + re.escape(file.suffix))
    for shown in list(model_dir.glob(f"*{file.suffix}")):
        if pattern.fullmatch(shown.name) and is_own(shown, session_id):
            shown.unlink(missing_ok=True)


def publish(file: Path, model_dir: Path, session_id: int) -> Path:
    """Make `file` appear in `model_dir` under its own name: as a hard link, or as a copy where links are impossible.

    What this run put there before it was interrupted is replaced. Another's file that has come to lie there in the
    meantime is left alone, and the new one gets -2, -3, … at its end. Returns where it is. Raises UserError:
    `disk-full`, `not-writable`.
    """
    with disk_errors(model_dir / file.name):
        model_dir.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            target = model_dir / (file.name if number == 1 else f"{file.stem}-{number}{file.suffix}")
            try:
                _appear(file, target, replace=is_own(target, session_id))
            except FileExistsError:
                number += 1
            else:
                return target


def _appear(file: Path, target: Path, replace: bool) -> None:
    """`file` at `target`, whole or not at all. Raises FileExistsError where something else is there."""
    if target.exists() and target.samefile(file):
        return
    if target.exists() and not replace:
        raise FileExistsError(target)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            os.link(file, beside)
        except OSError:  # a disk without hard links, or another disk
            shutil.copyfile(file, beside)
        if replace:
            beside.replace(target)
        else:
            _appear_only_where_nothing_is(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _appear_only_where_nothing_is(beside: Path, target: Path) -> None:
    try:
        os.link(beside, target)  # never replaces anything, also not what came a moment ago
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError(target) from None
        beside.replace(target)
