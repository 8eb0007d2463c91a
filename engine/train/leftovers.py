"""Temporary files of engines that were killed while they wrote: removed by the next engine of the run."""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.plan.project import Project
from engine.runs import checkpoints
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import look


def clean_up(run: RunFolder, project: Project) -> None:
    """Remove what was left half written in `run`, whose lock we hold, and in what its project's runs share.

    The shared folders only where no other run of the project is at work. control/ is left alone: others write there.
    """
    checkpoints.clean(run)
    for folder in (run.path, run.samples_dir, run.output_dir):
        _remove_temporary(folder)
    if not any(look(other).status == "held" for other in list_runs(project.path) if other != run):
        for folder in (project.model_dir, *(project.cache_dir / name for name in ("latents", "texts"))):
            _remove_temporary(folder)


def _remove_temporary(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)
