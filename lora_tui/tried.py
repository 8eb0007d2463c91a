"""What the last dry run of a project has shown, for as long as it tells of what would be trained now."""

from __future__ import annotations

import time

from engine.plan.errors import UserError, inert
from engine.plan.project import Project
from engine.plan.settings import Settings, sha256
from engine.runs.folder import list_runs
from engine.runs.state import observe
from lora_tui.follow import with_absolute_base
from lora_tui.readable import at

LOOKED_AT = 20  # runs, the newest


def last_try(project: Project, settings: Settings, now: float | None = None) -> str:
    """`Tried at 14:02: Five steps went well: …`; "" where none was finished, or something else was tried then."""
    run = next((run for run in reversed(list_runs(project.path)[-LOOKED_AT:]) if run.is_dry_run), None)
    if run is None:
        return ""
    try:
        job = run.job
        settings = with_absolute_base(settings, project.path)
        seen = observe(run)
    except (UserError, OSError):
        return ""
    end = seen.snapshot.end
    same = (
        job.settings is not None
        and sha256(job.settings) == sha256(settings)
        and (job.trigger, job.class_name) == (project.trigger, project.class_name)
        and (dict(job.repeats), set(job.left_out)) == (project.repeats, set(project.left_out))
    )
    if seen.state != "finished" or end is None or not same:
        return ""
    return f"Tried {at(end.time, time.time() if now is None else now)}: {inert(end.message)}"
