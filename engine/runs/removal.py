"""Removes whole runs, and checkpoints of runs: the only place where something a training made is ever deleted.

A run is first renamed to a hidden name, so that it is there whole or not at all, also when this is killed half-way;
what stays hidden then is deleted by the next removal. The run's lock is held meanwhile: no engine can begin on it.
LoRAs in the project's `model/` are links or copies of those in the run, and stay.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import disk_errors, sync_folder
from engine.runs.checkpoints import Checkpoint, list_checkpoints, remove
from engine.runs.elsewhere import refuse_elsewhere
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock, look

_HIDDEN = ".removed-"


@dataclass(frozen=True)
class Contents:
    """What would go with a run. `bytes` is what becomes free: files that are also linked elsewhere are not counted.

    `only_here`: LoRAs that are in no `model/` folder.
    """

    bytes: int
    checkpoints: int
    samples: int
    loras: int
    only_here: tuple[str, ...]


def contents(run: RunFolder) -> Contents:
    """What is in `run`. Never raises; an engine may be at work."""
    size = 0
    for folder, _, files in os.walk(run.path):
        for name in files:
            with contextlib.suppress(OSError):
                about = Path(folder, name).lstat()
                size += about.st_size if stat.S_ISREG(about.st_mode) and about.st_nlink == 1 else 0
    loras = sorted(run.output_dir.glob("*.safetensors"))
    only_here = tuple(path.name for path in loras if not _in_model_folder(run, path))
    samples = sum(1 for _ in run.samples_dir.glob("*.png"))
    return Contents(size, len(list_checkpoints(run)), samples, len(loras), only_here)


def refuse_unless_removable(run: RunFolder, take_over: bool = False) -> None:
    """Raises UserError "not-a-run" for anything but a run folder, "run-busy" for one at work, and "elsewhere" for one
    that may be at work on another machine, unless `take_over` says that it is not.

    A run folder lies in a folder named `runs` (a project's, or that of jobs in the cache), is itself no link, and has
    a job in it.
    """
    path = run.path
    plain = not path.is_symlink() and path.is_dir()
    # Links in it lead out of it: a run folder may have come from a stranger.
    own = not any(inside.is_symlink() for inside in (run.first_job_path, run.lock_path, run.checkpoints_dir))
    if not (plain and own and path.parent.name == "runs" and run.first_job_path.is_file()):
        raise UserError("not-a-run", f"{path} is no run folder, and is left alone.", "See lora-tui runs.")
    if (path / "project.toml").exists() or path.name.startswith("."):
        raise UserError("not-a-run", f"{path} is more than a run folder, and is left alone.")
    _refuse_at_work(run)
    refuse_elsewhere(run, take_over)


def remove_run(run: RunFolder, take_over: bool = False) -> None:
    """Delete the run folder. Raises UserError as `refuse_unless_removable`, "not-writable" where files resist."""
    refuse_unless_removable(run, take_over)
    doomed = run.path.with_name(f"{_HIDDEN}{run.name}-{os.getpid()}")
    with RunLock.acquire(run), disk_errors(run.path):
        run.path.rename(doomed)
        sync_folder(run.path.parent)
    clean(run.path.parent)
    if doomed.exists():
        raise UserError(
            "not-writable", f"Some files of {run.name} could not be deleted; they are in {doomed}.", "Delete it."
        )


def remove_checkpoints(run: RunFolder, which: Sequence[Checkpoint], take_over: bool = False) -> None:
    """Delete these checkpoints of a run that is not at work. Raises UserError."""
    refuse_unless_removable(run, take_over)
    with RunLock.acquire(run):
        for checkpoint in which:
            remove(run, checkpoint)


def clean(runs_dir: Path) -> None:
    """Delete what a removal that was killed has left in a folder of runs."""
    with contextlib.suppress(OSError):
        for path in runs_dir.iterdir():
            if path.name.startswith(_HIDDEN) and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)  # does not follow links


def _refuse_at_work(run: RunFolder) -> None:
    lock = look(run)
    if lock.status == "held":
        raise UserError(
            "run-busy",
            f"An engine (process {lock.pid}) is at work on the run {run.name}.",
            f"Stop it first: lora-tui stop {run.path}",
        )


def _in_model_folder(run: RunFolder, lora: Path) -> bool:
    """Whether the LoRA is in the project's `model/` too: linked there, or copied where the disk has no links."""
    model_dir = run.path.parent.parent / "model"
    try:
        about = lora.stat()
        if about.st_nlink > 1:
            return True
        return any(
            other.name.startswith(lora.stem) and other.stat().st_size == about.st_size
            for other in model_dir.glob("*.safetensors")
        )
    except OSError:
        return False
