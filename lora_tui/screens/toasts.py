"""A toast for each change that a run makes to itself when memory runs out: it is seen whatever is being read.

It goes after some seconds; the status line says the same for longer, and the log keeps it.
"""

from __future__ import annotations

from textual.app import App

from engine.plan.errors import inert
from engine.runs.snapshot import Warned
from engine.runs.state import Observation

TOAST_SECONDS = 10.0


class Toasts:
    """Of the run that is watched. What had happened before it was is no news."""

    def __init__(self) -> None:
        self._told: set[Warned] | None = None

    def show(self, app: App[object], seen: Observation) -> None:
        """Toasts for what is new in this observation."""
        if seen.more:  # its history is still being read
            return
        changes = [warned for warned in seen.snapshot.warnings if warned.code == "oom"]
        told, self._told = self._told, set(changes)
        if told is None:
            return
        for warned in changes:
            if warned not in told and not warned.change.startswith("repeated"):  # which changes nothing
                words = inert(warned.message or f"Memory ran out: {warned.change}")
                app.notify(words, severity="warning", timeout=TOAST_SECONDS, markup=False)
