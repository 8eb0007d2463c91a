"""Runs that an engine on another machine may be at work on: their folder lies on a disk that several machines share.

Nobody here can see whether it is: a lock does not reach that far. A rented machine that was started anew often has
another name, too, so a person may say that the other one is gone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.plan.errors import UserError
from engine.runs.state import observe

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder


def refuse_elsewhere(run: RunFolder, take_over: bool = False) -> None:
    """Raises UserError "elsewhere" for a run that may be at work on another machine, unless somebody takes it over,
    and "unreadable-lock" for one whose lock tells nothing."""
    seen = observe(run)
    if seen.state != "unknown":
        return
    if not seen.lock.elsewhere:
        raise UserError(
            "unreadable-lock", f"The lock of the run {run.name} cannot be read: an engine may be at work on it.", ""
        )
    if take_over:
        return
    word = seen.snapshot.last_event_time
    ago = f"; its last word was {_ago(time.time() - word)} ago" if word else ""
    raise UserError(
        "elsewhere",
        f"The run {run.name} was last at work on another machine ({seen.lock.host}){ago}.",
        "If no engine is at work there any more, add --take-over.",
    )


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, round(seconds))} seconds"
