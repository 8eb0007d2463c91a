"""Option values that people write as text: a resolution, the optimizer's arguments, a name for files."""

from __future__ import annotations

import ast

from engine.plan.errors import UserError

MAX_FILE_NAME_CHARACTERS = 120
OF_ARGUMENTS = frozenset({"optimizer_args", "lr_scheduler_args"})
"""Options that are lists of name=value; written in one line with spaces between them."""

_NOT_IN_NAMES = frozenset('/\\:*?"<>|')


def parse_resolution(value: object) -> tuple[int, int]:
    """(width, height) from `1024`, `"1024"`, `"1024,1024"`, `"1024x768"` or `[1024, 768]`; 16 to 8192 pixels a side.

    One number means a square, as in sd-scripts. Raises UserError `bad-value`.
    """
    parts: list[object]
    if isinstance(value, str):
        parts = [part.strip() for part in value.lower().replace("x", ",").split(",")]
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        parts = [value]
    sides = [_whole_number(part) for part in parts]
    if len(sides) == 1:
        sides *= 2
    if len(sides) != 2 or not all(side is not None and 16 <= side <= 8192 for side in sides):
        raise UserError(
            "bad-value",
            f'resolution must be a width and a height from 16 to 8192 such as "1024,1024", not "{_shown(value)}".',
        )
    return sides[0] or 0, sides[1] or 0


def parse_arguments(option: str, arguments: tuple[str, ...]) -> dict[str, object]:
    """`name=value` texts as keyword arguments; a value is a Python literal, as sd-scripts reads it (`get_optimizer`).

    Raises UserError `bad-value` naming the argument that cannot be read.
    """
    answer: dict[str, object] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        name, text = name.strip(), text.strip()
        if not equals or not name.isidentifier():
            raise UserError("bad-value", f'{option}: "{argument}" must read name=value.')
        # A comma at the end is left over from a list (kohya_ss#3052); Python would silently read a tuple.
        if text.endswith(","):
            raise UserError(
                "bad-value",
                f'{option}: "{argument}" ends in a comma.',
                "Put spaces between the arguments, without commas.",
            )
        try:
            answer[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise UserError(
                "bad-value",
                f'{option}: "{argument}" has a value that is neither a number, True, False, a list nor a '
                "text in quotes.",
            ) from None
    return answer


def steps_or_share(value: object) -> object:
    """A number of steps as an int, a share of all steps (under 1) as a float; what is neither is given back as it is,
    or refused. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        return 0 if isinstance(value, float) and value == 0 else value
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    # isdecimal alone would let other scripts' digits and texts of any length through.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return None


def is_plain_name(name: str) -> bool:
    """Whether a text can be part of a file name on every system."""
    return (
        0 < len(name) <= MAX_FILE_NAME_CHARACTERS
        and name.isprintable()
        and not _NOT_IN_NAMES & set(name)
        and not name.startswith((".", "-", " "))
        and not name.endswith((".", " "))
    )


def plain_name(text: str, otherwise: str = "lora") -> str:
    """`text` with what cannot be part of a file name replaced; `otherwise` where nothing is left of it."""
    kept = "".join("_" if c in _NOT_IN_NAMES or not c.isprintable() else c for c in text)
    return kept.lstrip(".- ")[:MAX_FILE_NAME_CHARACTERS].rstrip(". ") or otherwise


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
