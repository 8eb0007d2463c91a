"""What is sent to the terminal is only what it does not show already.

Textual paints each widget anew that may look different now, and a list that appears twice: once for its place and once
for its size. On a slow line that is what a key waits for. Here each update is compared with what the terminal shows,
cell by cell, and the cells that differ are sent, with no colour said twice: of the rows of a list colour by colour.

Terminals differ in how many cells they draw some signs in that are made of several characters, as emoji with a skin
colour. Where such a sign comes or goes, all that it may have been drawn over is sent once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from rich.cells import split_graphemes
from rich.color import ColorSystem
from rich.console import Console
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from lora_tui.sgr import PLAIN, Look, blank, look_of, turn

ERASED, ERASED_BETWEEN = 5, 11  # cells: more empty ones, at the end or before others, take fewer bytes to erase
BRIDGED = 4  # cells: a gap of so few is written once more, as moving over it would take as many bytes
MANY_LOOKS = 24  # of so many looks as a picture has, the order saves nothing
_LETTERS = 4096
WIDEST = 2  # cells of a character
_FLAG_HALVES = range(0x1F1E6, 0x1F200)  # letters of which two are a flag


class Piece(NamedTuple):
    """Cells of a row, from `begin` to before `end`, that can be written in one look."""

    look: Look
    begin: int
    end: int


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
        again: list[tuple[int, int, int]] = []  # in which row from where to where signs may be drawn over others
        for x, y, strip in fragments:
            cells = _cells(strip, system)
            row = self._rows.setdefault(y, [])
            row.extend([None] * (x + len(cells) - len(row)))
            before = row[x : x + len(cells)]
            again += [(y, x + begin, x + end) for begin, end in _unsure(before, cells)]
            runs += [(x + begin + 1, y + 1, cells[begin:end]) for begin, end in _runs(before, cells, BRIDGED)]
            for look, begin, end in _of_one_look(cells, _runs(before, cells, 0)):
                by_look.setdefault(look, []).append((x + begin + 1, y + 1, cells[begin:end]))
            _break_off(row, x, x + len(cells))
            row[x : x + len(cells)] = cells
        sent = self._written(runs)
        if len(by_look) <= MANY_LOOKS:
            sent = min(sent, self._written(run for alike in by_look.values() for run in alike), key=len)
        return sent + self._written(run for y, begin, end in again for run in _reached(self._rows[y], begin, end, y))

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
            if wanted != look and not (letter == " " and wanted == blank(look)):
                sent.append(turn(look, wanted))
                look = wanted
            if empty > (ERASED if place + empty == end else ERASED_BETWEEN):
                sent.append(f"\x1b[{empty}X")
                if place + empty == end:
                    break
                sent.append(f"\x1b[{empty}C")
                place += empty
                continue
            cells_of = _whole(cells, place, place + 1)[1] - place if _is_unsure(letter) else 1
            if cells_of > 1:  # emptied first, as the terminal may draw it in fewer
                sent.append(" " * cells_of + _move(column + place, line))
            sent.append(letter)
            place += cells_of
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


def _unsure(before: Row, now: list[Cell]) -> Iterator[tuple[int, int]]:
    """(begin, end) of the cells in which a sign may be drawn that comes or goes, where terminals differ about it; of
    several that may touch each other as one."""
    begin = end = -1
    for place, (old, new) in enumerate(zip(before, now, strict=True) if before != now else ()):
        reach = max(_reach(old), _reach(new)) if old != new else 1
        if reach == 1:
            continue
        if end < place:
            if end >= 0:
                yield begin, end
            begin = _whole(now, place, place + 1)[0]
        end = max(end, place + reach)
    if end >= 0:
        yield begin, end


def _reached(row: Row, begin: int, end: int, y: int) -> Iterator[Run]:
    """What stands in a row between these, as far as it is known, and what the signs in it may be drawn over."""
    cells: list[Cell] = []
    first = begin
    for place in range(begin, len(row)):
        cell = row[place]
        if place >= end and (cell is None or cell[1]):
            break
        end = max(end, place + _reach(cell))
        if cell is not None:
            cells.append(cell)
            continue
        if cells:
            yield first + 1, y + 1, cells
        cells, first = [], place + 1
    if cells:
        yield first + 1, y + 1, cells


def _reach(cell: Cell | None) -> int:
    """Over how many cells a terminal may draw what is written in one."""
    return WIDEST * len(cell[1]) if cell is not None and _is_unsure(cell[1]) else 1


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
        if found and blank(look) in (look, beside):
            places.append(len(found) - 1)
        for place in places:
            before = found[place]
            both = before.look if look == blank(before.look) else look
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
            if look == blank(wanted) and all(letter == " " for _, letter in cells[begin:place]):
                look = wanted  # empty cells before it go along
                continue
            add(look, begin, place)
            begin, look = place, wanted
        add(look, begin, end)
    return found


def _fits(cell: Cell, look: Look) -> bool:
    """Whether a cell can be written in this look."""
    return cell[0] == look or (cell[1] == " " and cell[0] == blank(look))


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


@lru_cache(_LETTERS)
def _is_sure(letter: str) -> bool:
    """Whether every terminal moves on by the cells that it has here: of many signs they draw one or two."""
    return letter.isascii() or (len(letter) == 1 and east_asian_width(letter) in {"N", "Na"})


@lru_cache(_LETTERS)
def _is_unsure(letter: str) -> bool:
    """Whether a sign is made of several characters that some terminals draw one after the other; an accent on its
    letter is not."""
    return len(letter) > 1 and not all(map(combining, letter[1:]))


def _cells(strip: Strip, system: ColorSystem) -> list[Cell]:
    found: list[Cell] = []
    for text, style, control in strip:
        if control:
            continue
        look = look_of(style, system) if style is not None else PLAIN
        if text.isascii():
            empty = blank(look)
            found += [(empty if letter == " " else look, letter) for letter in text]
            continue
        for begin, end, width in split_graphemes(text)[0]:
            letter = text[begin:end]
            if _ends_flag(found, look, letter):
                found[-1:] = [(look, found[-1][1] + letter), (look, "")]
            elif width:
                found.append((look if letter != " " else blank(look), letter))
                found += [(look, "")] * (width - 1)
            elif found:  # an accent that was cut off its letter
                at = next(at for at in reversed(range(len(found))) if found[at][1])
                found[at] = (found[at][0], found[at][1] + letter)
    return found


def _ends_flag(found: list[Cell], look: Look, letter: str) -> bool:
    """Whether this is the second of the two letters that make a flag."""
    halves = [one for one in (found[-1][1] if found else "", letter) if len(one) == 1 and ord(one) in _FLAG_HALVES]
    return len(halves) == 2 and found[-1][0] == look
