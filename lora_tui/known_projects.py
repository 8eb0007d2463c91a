"""The projects that were used lately, with what is at work in them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.project_file import FILE_NAME
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import look
from engine.runs.state import Observation, observe
from lora_tui import recent

RUNS_LOOKED_AT = 3  # of each project, the newest: a run at work is nearly always the last


@dataclass(frozen=True)
class Known:
    """A project of the list. at_work: its run that an engine holds, and how it is."""

    path: Path
    changed: float
    runs: int
    at_work: tuple[RunFolder, Observation] | None


def known_projects() -> list[Known]:
    """The projects that were used lately, with what is at work in them. Never raises."""
    found = []
    for path in recent.projects():
        with contextlib.suppress(OSError, UserError):
            runs = list_runs(path)
            busy = next((run for run in reversed(runs[-RUNS_LOOKED_AT:]) if look(run).status == "held"), None)
            file = path / FILE_NAME
            changed = max((p.stat().st_mtime for p in (file, path / "runs") if p.exists()), default=0.0)
            trained = sum(run.is_training for run in runs)
            found.append(Known(path, changed, trained, (busy, observe(busy)) if busy is not None else None))
    return found
