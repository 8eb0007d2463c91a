"""Runs of jobs beside training, such as captions or regularisation pictures: found again, stopped, judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.plan.errors import UserError, inert
from engine.runs import control
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import look
from engine.runs.state import Observation

LOOKED_AT = 40  # runs, the newest


def newest(project: Path, *kinds: str) -> Iterator[RunFolder]:
    """The project's runs of these kinds of job, the newest first."""
    return (run for run in reversed(list_runs(project)[-LOOKED_AT:]) if run.kind in kinds)


def at_work(project: Path, *kinds: str) -> RunFolder | None:
    """The one that an engine holds now."""
    return next((run for run in newest(project, *kinds) if look(run).status == "held"), None)


def ask_to_stop(run: RunFolder, said: str = "Asked the engine to stop.") -> tuple[str, str]:
    """(mark of the status line, sentence): `said`, or why the engine could not be asked."""
    try:
        control.send(run, "stop")
    except (UserError, OSError) as error:
        return "x", f"The engine could not be asked: {error}"
    return "ok", said


def how_it_ended(seen: Observation, killed: str) -> tuple[str, str]:
    """(mark, sentence) of a run that is over. killed: what is to be said behind "killed without a last word"."""
    end = seen.snapshot.end
    if end is None:
        return "x", f"The engine was killed without a last word; {killed}"
    if seen.state in ("finished", "stopped"):
        return "ok" if seen.state == "finished" else "!", inert(end.message) or "Done."
    return "x", f"{inert(end.message)} {inert(end.hint)}".strip()
