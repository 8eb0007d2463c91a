"""Values as kohya's files have them (numbers and switches as texts, floats for whole numbers) in plain types."""

from __future__ import annotations

import math

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0", "none", "null"})


def is_unset(value: object) -> bool:
    """Whether kohya_ss drops a value before it starts a training: "", False, None, and 0, which equals False there."""
    return value is None or value is False or (isinstance(value, str) and not value.strip()) or number_of(value) == 0


def is_empty(value: object) -> bool:
    """Whether nothing is said: null, an empty text, an empty list."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def switch_of(value: object) -> bool | None:
    """True or False, also from a text or a number; None for what is neither."""
    if isinstance(value, bool):
        return value
    if value is None:
        return False
    if isinstance(value, str):
        text = value.strip().lower()
        return True if text in _TRUE else False if text in _FALSE or not text else None
    number = number_of(value)
    return bool(number) if number in (0, 1) else None


def number_of(value: object) -> float | int | None:
    """A finite number, also from a text; None for what is none. A switch is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        if isinstance(value, str):
            text = value.strip()
            value = int(text) if text.lstrip("+-").isdecimal() and text.isascii() and len(text) < 20 else float(text)
        return value if math.isfinite(value) else None
    except (ValueError, OverflowError):
        return None


def whole_of(value: object) -> int | None:
    """A whole number, also from a float or a text."""
    number = number_of(value)
    return int(number) if number is not None and float(number).is_integer() else None


def words_of(value: object) -> list[str]:
    """The words of a text, as the window splits it, which drops quotes; the items of a list as they are."""
    if isinstance(value, list | tuple):
        return [str(part).strip() for part in value if isinstance(part, str | int | float) and str(part).strip()]
    return str(value).replace('"', "").split() if isinstance(value, str | int | float) else []


def names(text: str) -> frozenset[str]:
    """Names with blanks between them, as the tables here write them."""
    return frozenset(text.split())
