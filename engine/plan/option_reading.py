"""A value of an option as people write it: text on a command line, in a row of a form, or as TOML holds it."""

from __future__ import annotations

import math
import tomllib

from engine.plan.errors import UserError, inert
from engine.plan.option import Option
from engine.plan.option_values import OF_ARGUMENTS

BETWEEN = " | "  # several prompts, where they are typed on one line; A1111's own | has no blanks around it
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


def parse(option: Option, text: str) -> object:
    """The value that a text means for `option`: TOML (`true`, `0.1`, `["a", "b"]`) or sd-scripts' text (`True`,
    `1024,1024`, `a=1 b=2`); of several prompts each on a line of its own, or with BETWEEN between them.

    Ranges are checked by whoever holds all values. Raises UserError `bad-value`.
    """
    plain = text.strip()
    match option.kind:
        case "switch":
            if plain.lower() in _TRUE | _FALSE:
                return plain.lower() in _TRUE
        case "integer" | "number":
            number = _number(plain)
            if number is not None:
                return number
        case "choice" | "open":
            unquoted = _unquoted(plain)
            for choice in option.choices:
                if choice.lower() == unquoted.lower():
                    return choice
            if option.kind == "open":
                return unquoted
        case "list":
            items = _toml_value(plain) if plain.startswith("[") else None
            if isinstance(items, list) and all(isinstance(item, str) for item in items):
                return tuple(items)
            if option.name in OF_ARGUMENTS:
                if not plain.startswith("["):
                    return tuple(_unquoted(plain).split())
            elif not isinstance(items, list) and not plain.startswith(('["', "['")):  # else A1111's [red:blue:0.5]
                parts = [part.strip() for line in _unquoted(plain).splitlines() for part in line.split(BETWEEN)]
                return tuple(part for part in parts if part)
        case "text" | "path":
            return _unquoted(plain)
    raise bad_value(option, text)


def in_own_type(option: Option, value: object) -> object:
    """`value` in the option's own type, where that changes nothing in what was meant. Raises UserError `bad-value`."""
    if isinstance(value, str) and option.kind not in ("text", "list"):
        return parse(option, value)
    if option.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def bad_value(option: Option, value: object, where: str = "") -> UserError:
    """The refusal of a value: names the option, where it stands, and what it takes."""
    place = f"{where}: " if where else ""
    shown = f'"{inert(value, 100)}"' if isinstance(value, str) else inert(value, 100)
    return UserError("bad-value", f"{place}{option.name} must be {_expected(option)}, not {shown}.")


def _expected(option: Option) -> str:
    match option.kind:
        case "switch":
            return "true or false"
        case "choice":
            return f"{', '.join(option.choices[:-1])} or {option.choices[-1]}"
        case "open":
            return f"{', '.join(option.choices)} or {option.otherwise}"
        case "list":
            return "a list of texts"
        case "text" | "path":
            return "a text"
        case "integer" | "number":
            noun = "a whole number" if option.kind == "integer" else "a number"
            if option.minimum is None or option.maximum is None:
                return noun
            limited = f"{noun} from {option.minimum:g} to {_plain_number(option.maximum)}"
            return f"{limited}, {option.otherwise}" if option.otherwise else limited


def _plain_number(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


def _number(text: str) -> int | float | None:
    try:
        return int(text) if len(text) < 20 else float(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        value = _toml_value(text)
        if isinstance(value, str):
            return value
    return text


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}").get("value")
    except (ValueError, RecursionError):  # also numbers of thousands of digits, and as many brackets
        return None
