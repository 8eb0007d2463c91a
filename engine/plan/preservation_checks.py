"""Judgements on holding the model to what it drew before (`diff_output_preservation_multiplier`)."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.errors import Finding
from engine.plan.settings import Settings

OPTION = "diff_output_preservation_multiplier"


def check_preservation(settings: Settings, trigger: str, class_name: str) -> Iterator[Finding]:
    """What keeps it from working: it needs to know which word is new and what the model had before."""
    if not settings.diff_output_preservation_multiplier:
        return
    missing = " and ".join(name for name, word in (("trigger word", trigger), ("class", class_name)) if not word)
    if missing:
        yield Finding(
            "preservation-without-class",
            f"{OPTION} takes the trigger word out of the captions to see what the class alone looks like, and the "
            f"project has no {missing}.",
            "Name trigger and class under [project] in project.toml, or leave the option at 0.",
            level="error",
            option=OPTION,
            value=0.0,
            overridable=False,
        )
