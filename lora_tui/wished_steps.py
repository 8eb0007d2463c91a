"""How many steps somebody wishes for, by which repeats are recommended; kept beside the project."""

from __future__ import annotations

from lora_tui.beside import Beside

MOST_STEPS = 10_000_000
_NAME = "wished-steps"


def wished_steps(beside: Beside) -> int | None:
    """The number, or None where nobody has said one."""
    steps = beside.remembered(_NAME).get("steps")
    return steps if type(steps) is int and 0 < steps <= MOST_STEPS else None


def wish_for(beside: Beside, text: str) -> str:
    """Keep what was typed, nothing to forget it; why it is no number of steps, or ""."""
    if not text.strip():
        beside.forget(_NAME)
        return ""
    plain = text.strip().replace(",", "")
    if not (plain.isascii() and plain.isdecimal() and 0 < int(plain[:9]) <= MOST_STEPS):
        return f"Steps are a whole number from 1 to {MOST_STEPS:,}."
    beside.remember(_NAME, {"steps": int(plain)})
    return ""
