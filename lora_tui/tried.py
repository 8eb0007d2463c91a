"""What dry runs of a project have shown, for as long as it tells of what would be trained now."""

from __future__ import annotations

import json
import time

from engine.plan.errors import UserError, inert
from engine.plan.project import Project
from engine.plan.settings import Settings, sha256
from engine.runs.folder import RunFolder, list_runs
from engine.runs.state import observe
from lora_tui.follow import with_absolute_paths
from lora_tui.readable import at

LOOKED_AT = 20  # runs, the newest


def last_try(project: Project, settings: Settings, steps: int | None = None, now: float | None = None) -> str:
    """`Tried at 14:02: Five steps went well: …`, of the newest dry run that nobody stopped; "" where that failed, or
    something else was tried. `steps`: of the training now, where they are known: other pictures take another time.
    """
    try:
        settings = with_absolute_paths(settings, project.path)
    except (UserError, OSError):
        return ""
    for run in reversed(list_runs(project.path)[-LOOKED_AT:]):
        if run.is_dry_run and _of_the_same(run, project, settings) and steps in (None, _steps(run) or steps):
            seen = observe(run)
            if seen.state in ("failed", "died"):
                return ""  # what went well before goes wrong now
            if seen.state == "finished" and (end := seen.snapshot.end) is not None:
                when = at(end.time, time.time() if now is None else now)
                return f"Tried {when if ' ' in when else f'at {when}'}: {inert(end.message)}"
    return ""


def _of_the_same(run: RunFolder, project: Project, settings: Settings) -> bool:
    """Whether it tried what the wizard would train now, on the device that it would take."""
    try:
        job = run.job
    except UserError:
        return False
    return (
        job.settings is not None
        and sha256(job.settings) == sha256(settings)
        and (job.trigger, job.class_name, job.device) == (project.trigger, project.class_name, "auto")
        and (dict(job.repeats), set(job.left_out)) == (project.repeats, set(project.left_out))
    )


def _steps(run: RunFolder) -> int | None:
    """How many steps the whole training would have had; None where the engine did not say so."""
    try:
        result = json.loads(run.result_path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    found = result.get("whole_steps") if isinstance(result, dict) else None
    return found if isinstance(found, int) else None
