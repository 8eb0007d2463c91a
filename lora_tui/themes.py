"""Which theme the app is shown in: what was asked for, what the environment says, what was chosen the last time."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping

from engine.plan.errors import UserError
from engine.plan.files import atomic_write
from engine.runs.places import state_dir

THEMES: dict[str, str] = {
    "dark": "light letters on a dark ground",
    "light": "dark letters on a white ground",
    "contrast": "high contrast: white and strong colours on black",
    "none": "no colours: bold, reversed and underlined letters only",
}
"""Name to what it is, in the order in which one key goes through them. All keep to the palette of 256 colours."""
_LIGHT_GROUNDS = ("7", "15")  # of COLORFGBG, which some terminals set: "0;15" is black on white


def choose(given: str | None = None, environ: Mapping[str, str] = os.environ, colours: bool = True) -> str:
    """The theme to begin with. colours: whether the terminal can show any.

    NO_COLOR is for all programs and says what to begin with; what somebody chose for this one comes before it, as
    https://no-color.org has it.
    """
    if given in THEMES:
        return str(given)
    if not colours:
        return "none"
    if (chosen := remembered()) is not None:
        return chosen
    if environ.get("NO_COLOR"):
        return "none"
    return "light" if environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_GROUNDS else "dark"


def following(name: str) -> str:
    """The theme after this one."""
    names = list(THEMES)
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]


def remembered() -> str | None:
    """What was chosen the last time; None for nothing that can be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError, TypeError, KeyError):
        name = json.loads((state_dir() / "look.json").read_bytes())["theme"]
        if isinstance(name, str) and name in THEMES:
            return name
    return None


def remember(name: str) -> None:
    """Begin with this theme from now on. A disk that refuses is not worth a word."""
    with contextlib.suppress(UserError, OSError):
        state_dir().mkdir(parents=True, exist_ok=True)
        atomic_write(state_dir() / "look.json", json.dumps({"v": 1, "theme": name}) + "\n")
