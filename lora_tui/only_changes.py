"""What is sent to the terminal is only what it does not show already.

Textual paints each widget anew that may look different now, and a list that appears twice: once for its place and once
for its size. On a slow line that is what a key waits for. Here each update is compared with what the terminal shows,
cell by cell, and the cells that differ are sent, with no colour said twice: of the rows of a list colour by colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from unicodedata import east_asian_width

from rich.cells import split_graphemes
from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

ERASED, ERASED_BETWEEN = 5, 11  # cells: more empty ones, at the end or before others, take fewer bytes to erase
BRIDGED = 4  # cells: a gap of so few is written once more, as moving over it would take as many bytes
MANY_LOOKS = 24  # of so many looks as a picture has, the order saves nothing
_STYLES = 4096
_OF_LETTERS = {"1", "2", "3"}  # bold, dim, italic: not seen on an empty cell
_ENDS = {"1": "22", "2": "22", "3": "23", "4": "24", "7": "27", "9": "29"}  # SGR numbers, and what ends each
_OWN = 16  # so many of the 256 colours come first, which each terminal has in shades of its own


class Look(NamedTuple):
    """How a cell looks, as the numbers of a terminal's SGR sequence: attributes, the letter's colour, the ground's."""

    attributes: str = ""
    fore: str = ""
    ground: str = ""


class Piece(NamedTuple):
    """Cells of a row, from `begin` to before `end`, that can be written in one look."""

    look: Look
    begin: int
    end: int


PLAIN = Look()
Cell = tuple[Look, str]  # the letter is "" where one that began further left goes on
Row = list[Cell | None]  # None: nobody knows what stands there
Place = tuple[int, int]  # column and row, from 1
Run = tuple[int, int, list[Cell]]  # of a place
Fragment = tuple[int, int, Strip]  # column, row


class Shown:
    """What the terminal shows. `forget` when somebody else may have written on it.

    erases: the terminal can be told to empty cells, and leaves them in the colour that is set (terminfo's bce and ech).
    """

    def __init__(self, erases: bool = False) -> None:
        self.erases = erases
        self._rows: dict[int, Row] = {}

    def forget(self) -> None:
        """From now on everything is sent again."""
        self._rows.clear()

    def changes(self, update: CompositorUpdate) -> CompositorUpdate:
        """The update that does the same with fewer bytes. What it leaves out is decided when it is rendered."""
        if isinstance(update, LayoutUpdate):
            return _Changes(self, _of_layout(update))
        if isinstance(update, ChopsUpdate):
            return _Changes(self, _of_chops(update))
        self.forget()
        return update

    def sequence(self, fragments: Iterable[Fragment], system: ColorSystem) -> str:
        """The terminal sequences that bring these onto the screen, and remember that they are there."""
        runs: list[Run] = []
        by_look: dict[Look, list[Run]] = {}
        for x, y, strip in fragments:
            cells = _cells(strip, system)
            row = self._rows.setdefault(y, [])
            row.extend([None] * (x + len(cells) - len(row)))
            before = row[x : x + len(cells)]
            runs += [(x + begin + 1, y + 1, cells[begin:end]) for begin, end in _runs(before, cells, BRIDGED)]
            for look, begin, end in _of_one_look(cells, _runs(before, cells, 0)):
                by_look.setdefault(look, []).append((x + begin + 1, y + 1, cells[begin:end]))
            _break_off(row, x, x + len(cells))
            row[x : x + len(cells)] = cells
        sent = self._written(runs)
        if len(by_look) > MANY_LOOKS:
            return sent
        return min(sent, self._written(run for alike in by_look.values() for run in alike), key=len)

    def _written(self, runs: Iterable[Run]) -> str:
        sent: list[str] = []
        look: Look = PLAIN
        there: Place | None = None  # None: nobody is sure
        for column, line, cells in runs:
            if there != (column, line):
                sent.append(_shortest_move(there, column, line))
            look, ends = self._write(cells, look, column, line, sent)
            # Behind the last cell of a line some terminals stand on that cell.
            sure = ends <= len(self._rows[line - 1]) and all(_is_sure(letter) for _, letter in cells)
            there = (ends, line) if sure else None
        if look != PLAIN:
            sent.append("\x1b[0m")
        return "".join(sent)

    def _write(self, cells: list[Cell], look: Look, column: int, line: int, sent: list[str]) -> tuple[Look, int]:
        """Add to `sent` what brings these cells to this place, counted from 1, where the cursor is; the look and the
        cursor's column at its end."""
        place, end = 0, len(cells)
        while place < end:
            wanted, letter = cells[place]
            empty = _empty(cells, place) if self.erases else 0
            if wanted != look and not (letter == " " and wanted == _blank(look)):
                sent.append(_turn(look, wanted))
                look = wanted
            if empty > (ERASED if place + empty == end else ERASED_BETWEEN):
                sent.append(f"\x1b[{empty}X")
                if place + empty == end:
                    break
                sent.append(f"\x1b[{empty}C")
                place += empty
                continue
            sent.append(letter)
            place += 1
            if len(letter) > 1:  # of several characters: terminals differ in how wide they draw these
                sent.append(_move(column + place, line))
        return look, column + place


class _Changes(CompositorUpdate):
    def __init__(self, shown: Shown, fragments: Iterable[Fragment]) -> None:
        self._shown = shown
        self._fragments = fragments

    def render_segments(self, console: Console) -> str:
        system = console._color_system or ColorSystem.TRUECOLOR  # as Textual's strips choose it
        return self._shown.sequence(self._fragments, system)


def _of_layout(update: LayoutUpdate) -> Iterator[Fragment]:
    for y, strips in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in strips:
            yield x, y, strip
            x += strip.cell_length


def _of_chops(update: ChopsUpdate) -> Iterator[Fragment]:
    """As ChopsUpdate.render_segments has them, with what lies left of a span cut off too."""
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < right and end > left:
                begin = max(x, left)
                yield begin, y, strip.crop(begin - x, min(end, right) - x)


def _runs(before: Row, now: list[Cell], bridged: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of what has to be written, from the left to the right; no letter is cut in two.

    bridged: cells of a gap that are written along.
    """
    if before == now:
        return
    begin = end = -1
    for place, (old, new) in enumerate(zip(before, now, strict=True)):
        if old == new:
            continue
        if end >= 0 and place - end <= bridged:
            end = place + 1
        else:
            if end >= 0:
                yield _whole(now, begin, end)
            begin, end = place, place + 1
    yield _whole(now, begin, end)


def _whole(now: list[Cell], begin: int, end: int) -> tuple[int, int]:
    while begin > 0 and not now[begin][1]:
        begin -= 1
    while end < len(now) and not now[end][1]:
        end += 1
    return begin, end


def _break_off(row: Row, begin: int, end: int) -> None:
    """Letters that are overwritten in part are gone as a whole."""
    for place in range(end, len(row)):
        cell = row[place]
        if cell is None or cell[1]:
            break
        row[place] = None
    if begin < len(row) and (cell := row[begin]) is not None and not cell[1]:
        while begin > 0 and (cell := row[begin - 1]) is not None:
            begin -= 1
            row[begin] = None
            if cell[1]:
                break


def _of_one_look(cells: list[Cell], runs: Iterable[tuple[int, int]]) -> list[Piece]:
    """The same in pieces of one look each, to be written look by look: in a list the marks of all rows, then their
    names, and so on, as a move takes fewer bytes than another colour."""
    found: list[Piece] = []
    last: dict[Look, int] = {}  # where in `found` the last piece of a look is

    def add(look: Look, begin: int, end: int) -> None:
        """Write a piece together with the last one of its look, or with one beside it of which one is empty, where
        the gap between may be written along."""
        beside = found[-1][0] if found else look
        places = [last[look]] if look in last else []
        if found and _blank(look) in (look, beside):
            places.append(len(found) - 1)
        for place in places:
            before = found[place]
            both = before.look if look == _blank(before.look) else look
            if begin - before.end <= BRIDGED and all(_fits(cell, both) for cell in cells[before.begin : end]):
                found[place], last[both] = Piece(both, before.begin, end), place
                return
        last[look] = len(found)
        found.append(Piece(look, begin, end))

    for begin, end in runs:
        look = cells[begin][0]
        for place in range(begin, end):
            wanted = cells[place][0]
            if _fits(cells[place], look):
                continue
            if look == _blank(wanted) and all(letter == " " for _, letter in cells[begin:place]):
                look = wanted  # empty cells before it go along
                continue
            add(look, begin, place)
            begin, look = place, wanted
        add(look, begin, end)
    return found


def _fits(cell: Cell, look: Look) -> bool:
    """Whether a cell can be written in this look."""
    return cell[0] == look or (cell[1] == " " and cell[0] == _blank(look))


def _empty(cells: list[Cell], place: int) -> int:
    """How many cells from here on are empty and of one colour."""
    look, letter = first = cells[place]
    if letter != " " or look != Look(ground=look.ground):
        return 0
    end = place + 1
    while end < len(cells) and cells[end] == first:
        end += 1
    return end - place


def _move(column: int, line: int) -> str:
    return f"\x1b[{line};{column}H"


def _shortest_move(there: Place | None, column: int, line: int) -> str:
    """To a place from where the cursor is, which takes fewer bytes for one that is near."""
    move = _move(column, line)
    if there is None:
        return move
    right, down = column - there[0], line - there[1]
    if down < 0 or down > 1:
        return move
    aside = f"\x1b[{right}C" if right > 0 else min("\b" * -right, f"\x1b[{-right}D", key=len) if right else ""
    return min(move, "\x1bD" * down + aside, key=len)  # IND: no line is scrolled, as there is one more below


@lru_cache(_STYLES)
def _is_sure(letter: str) -> bool:
    """Whether every terminal moves on by the cells that it has here: of many signs they draw one or two."""
    return letter.isascii() or (len(letter) == 1 and east_asian_width(letter) in {"N", "Na"})


@lru_cache(_STYLES)
def _turn(old: Look, new: Look) -> str:
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


def _cells(strip: Strip, system: ColorSystem) -> list[Cell]:
    found: list[Cell] = []
    for text, style, control in strip:
        if control:
            continue
        look = _look(style, system) if style is not None else PLAIN
        if text.isascii():
            blank = _blank(look)
            found += [(blank if letter == " " else look, letter) for letter in text]
            continue
        for begin, end, width in split_graphemes(text)[0]:
            letter = text[begin:end]
            if width:
                found.append((look if letter != " " else _blank(look), letter))
                found += [(look, "")] * (width - 1)
            elif found:  # an accent that was cut off its letter
                at = next(at for at in reversed(range(len(found))) if found[at][1])
                found[at] = (found[at][0], found[at][1] + letter)
    return found


@lru_cache(_STYLES)
def _look(style: Style, system: ColorSystem) -> Look:
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
def _blank(look: Look) -> Look:
    """How an empty cell looks then: attributes of letters alone are not seen on it."""
    return Look(ground=look.ground) if _numbers(look.attributes) <= _OF_LETTERS else look
