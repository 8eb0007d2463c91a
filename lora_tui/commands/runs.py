"""`lora-tui runs`: what has been run in a project, and what is running."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.plan.files import absolute_path
from lora_tui import output
from lora_tui.options import json_option

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder
    from engine.runs.state import Observation


@click.command("runs")
@click.argument("directory", metavar="[DIR]", default=".")
@json_option
def command(directory: str, as_json: bool) -> None:
    """List the runs of the project DIR (by default the folder you are in), oldest first."""
    from engine.runs.folder import list_runs
    from engine.runs.state import observe

    runs = [(run, observe(run)) for run in list_runs(_project_folder(directory))]
    if as_json:
        output.answer({"runs": [_as_object(run, seen) for run, seen in runs]})
        return
    if not runs:
        output.say("No runs yet.")
    for run, seen in runs:
        snapshot = seen.snapshot
        steps = f"step {snapshot.step}/{snapshot.total_steps}" if snapshot.total_steps else ""
        loss = f"loss {snapshot.loss_avg:.4f}" if snapshot.loss_avg is not None else ""
        last = time.strftime("%Y-%m-%d %H:%M", time.localtime(snapshot.last_event_time)) if steps else ""
        parts = [run.name, snapshot.job or run.kind, seen.state, steps, loss, last, _message(seen)]
        output.say("  ".join(part for part in parts if part))


def _project_folder(directory: str) -> Path:
    path = absolute_path(directory)
    if (path / "runs").is_dir():  # a list of runs must not depend on whether the project is in order
        return path
    from engine.plan.project import Project

    return Project.open(directory).path


def _as_object(run: RunFolder, seen: Observation) -> dict[str, object]:
    snapshot = seen.snapshot
    return {
        "run": run.name,
        "path": run.path,
        "job": snapshot.job or run.kind,
        "state": seen.state,
        "step": snapshot.step,
        "total_steps": snapshot.total_steps,
        "epoch": snapshot.epoch,
        "total_epochs": snapshot.total_epochs,
        "loss_avg": snapshot.loss_avg,
        "started": snapshot.first_event_time or None,
        "last_event": snapshot.last_event_time or None,
        "bytes": run.bytes,
        "last_sample": run.absolute(snapshot.samples[-1].path) if snapshot.samples else None,
        "message": _message(seen),
    }


def _message(seen: Observation) -> str:
    if seen.snapshot.end is not None and seen.over:
        return seen.snapshot.end.message
    if seen.state == "died":
        return "The engine was killed without a last word."
    if seen.state == "unknown":
        return f"Another machine's run ({seen.lock.host})." if seen.lock.elsewhere else "Its lock cannot be read."
    return ""
