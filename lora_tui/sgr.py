"""How a cell of the terminal looks, in numbers of its SGR sequences, and the shortest way from one look to another."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet
from rich.style import Style
from textual.strip import Strip

_STYLES = 4096
_OF_LETTERS = {"1", "2", "3"}  # bold, dim, italic: not seen on an empty cell
_ENDS = {"1": "22", "2": "22", "3": "23", "4": "24", "7": "27", "9": "29"}  # SGR numbers, and what ends each
_OWN = 16  # so many of the 256 colours come first, which each terminal has in shades of its own


class Look(NamedTuple):
    """How a cell looks, as the numbers of a terminal's SGR sequence: attributes, the letter's colour, the ground's."""

    attributes: str = ""
    fore: str = ""
    ground: str = ""


PLAIN = Look()


@lru_cache(_STYLES)
def turn(old: Look, new: Look) -> str:
    """The sequence from one look to another; what stays is not said again."""
    if new == PLAIN:
        return "\x1b[0m"
    before, after = _numbers(old.attributes), _numbers(new.attributes)
    ended = {_ENDS.get(number, "0") for number in before - after}
    if "0" in ended:
        return f"\x1b[{';'.join(['0', *filter(None, new)])}m"
    kept = set() if "22" in ended else before  # which ends bold and dim together
    parts = [*sorted(ended), *sorted(after - kept)]
    parts += [new.fore or "39"] if old.fore != new.fore else []
    parts += [new.ground or "49"] if old.ground != new.ground else []
    return f"\x1b[{';'.join(parts)}m"


def _numbers(attributes: str) -> set[str]:
    return set(filter(None, attributes.split(";")))


@lru_cache(_STYLES)
def look_of(style: Style, system: ColorSystem) -> Look:
    attributes = Strip.render_ansi(style.without_color, system)
    return Look(attributes, _numbers_of(style.color, system, True), _numbers_of(style.bgcolor, system, False))


def _numbers_of(color: Color | None, system: ColorSystem, fore: bool) -> str:
    """ "" for the terminal's own colour. One of the 256 that are the same everywhere takes half the bytes."""
    if color is None or color.is_default:
        return ""
    if system == ColorSystem.TRUECOLOR and color.triplet is not None:
        color = _shared_colours().get(color.triplet, color)
    return ";".join(color.downgrade(system).get_ansi_codes(fore))


@lru_cache(1)
def _shared_colours() -> dict[ColorTriplet, Color]:
    shared = [Color.from_ansi(number) for number in range(_OWN, 256)]
    return {color.get_truecolor(): color for color in shared}


@lru_cache(_STYLES)
def blank(look: Look) -> Look:
    """How an empty cell looks then: attributes of letters alone are not seen on it."""
    return Look(ground=look.ground) if _numbers(look.attributes) <= _OF_LETTERS else look
