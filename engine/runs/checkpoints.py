"""The checkpoints of a run on disk: which there are, and how they come and go without ever being half there.

A checkpoint is a folder, `checkpoints/step-00000250`, written beside under another name and renamed, and removed the
same way backwards. What lies in it is the business of `engine.train.state`; here only the summary in its `state.json`
counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import disk_errors, sync_folder
from engine.runs.folder import RunFolder

STATE_FILE = "state.json"
_NAME = re.compile(r"step-(\d{8,})")
_LEFT_OVER = re.compile(r"\.(step-\d+\..*\.partial|removed-.*)")


@dataclass(frozen=True)
class Checkpoint:
    """A state to go on from: that after `step`, in `epoch` (both from 1; 0 where a damaged one does not tell)."""

    path: Path
    step: int
    epoch: int
    bytes: int


def path_for(run: RunFolder, step: int) -> Path:
    return run.checkpoints_dir / f"step-{step:08d}"


def list_checkpoints(run: RunFolder) -> list[Checkpoint]:
    """The checkpoints of `run`, oldest first. Folders that only look like one are passed over."""
    found = []
    with contextlib.suppress(OSError):
        for path in run.checkpoints_dir.iterdir():
            checkpoint = _read(path)
            if checkpoint is not None:
                found.append(checkpoint)
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def remove(run: RunFolder, checkpoint: Checkpoint) -> None:
    """Delete a checkpoint of `run`; from its first moment it is not one any more. Raises UserError."""
    if checkpoint.path.parent != run.checkpoints_dir or _read(checkpoint.path) is None:
        raise UserError("no-such-checkpoint", f"There is no checkpoint {checkpoint.path}.")
    with disk_errors(checkpoint.path):
        doomed = checkpoint.path.with_name(f".removed-{checkpoint.path.name}-{os.getpid()}")
        checkpoint.path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)  # a part that stays is cleaned up by the next engine
    sync_folder(run.checkpoints_dir)


def clean(run: RunFolder) -> None:
    """Remove what an engine left that was killed while it wrote or deleted. Only for who holds the run's lock."""
    with contextlib.suppress(OSError):
        for path in run.checkpoints_dir.iterdir():
            if _LEFT_OVER.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)


def set_aside(checkpoint: Checkpoint) -> Path:
    """Rename a checkpoint that cannot be read, so that the step can be saved anew; a person may look at it."""
    number = 1
    while True:
        target = checkpoint.path.with_name(f"damaged-{checkpoint.path.name}" + (f"-{number}" if number > 1 else ""))
        if not target.exists():
            checkpoint.path.rename(target)
            return target
        number += 1


def _read(path: Path) -> Checkpoint | None:
    match = _NAME.fullmatch(path.name)
    if match is None or path.is_symlink():
        return None
    try:
        size = sum(file.stat().st_size for file in path.iterdir())
    except OSError:
        return None
    said: object = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        said = json.loads((path / STATE_FILE).read_bytes())
    epoch = said.get("epoch") if isinstance(said, dict) else None
    return Checkpoint(path, int(match[1]), epoch if isinstance(epoch, int) else 0, size)
