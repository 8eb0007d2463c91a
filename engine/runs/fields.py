"""Fields of an event as the type they should have, whatever they are: another version, a torn disk or a stranger may
have written them. Nothing here raises.
"""

from __future__ import annotations

import math
from typing import Any

GREATEST_INTEGER = 2**63 - 1  # what an array holds; beyond it, numbers are damage


def text(value: object) -> str:
    """A text, or a number as text; "" for anything else. Without NUL, which no path and no terminal can take."""
    if isinstance(value, str):
        return value.replace("\0", "") if "\0" in value else value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def number(value: object) -> float | None:
    """A finite number, or None."""
    if type(value) is float:
        return value if math.isfinite(value) else None  # json.loads takes the NaN of foreign writers
    if type(value) is int and -GREATEST_INTEGER <= value <= GREATEST_INTEGER:
        return float(value)
    return None  # also for True and False, which are of type bool


def or_gap(value: object) -> float:
    """A finite number, or NaN: a gap in a history."""
    found = number(value)
    return math.nan if found is None else found


def integer(value: object, otherwise: int = 0) -> int:
    """A whole number, or `otherwise`."""
    if type(value) is int and -GREATEST_INTEGER <= value <= GREATEST_INTEGER:
        return value
    return otherwise


def amount(value: object) -> int | None:
    """A whole number from 0, or None."""
    return value if type(value) is int and 0 <= value <= GREATEST_INTEGER else None


def object_(value: object) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}
