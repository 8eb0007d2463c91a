"""Settings of our own: a preset, a project.toml or a job.toml, and what a LoRA that was trained here holds."""

from __future__ import annotations

from collections.abc import Mapping

from engine.plan.kohya.outcome import Outcome
from engine.plan.nearest import nearest
from engine.plan.options import by_name


def read(settings: Mapping[str, object], kind: str) -> Outcome:
    """Each option as it stands there, but for the project's own."""
    outcome = Outcome(kind)
    for name, value in settings.items():
        if name in by_name():
            outcome.carry(name, value, name, value)
        else:
            near = nearest(name, by_name())
            outcome.leave(name, value, "unknown", f"there is no such option; near is {near}")
    return outcome
