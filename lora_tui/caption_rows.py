"""A caption in rows: where a text of any length is wrapped, and which row and cell a letter stands in. No Textual.

Made for text that comes from files: what a terminal could obey is one "?" wide, and 100,000 letters take milliseconds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import get_character_cell_size

_NARROW = re.compile(r"[\x20-\u02ff\u0370-\u0482\u048a-\u0590]*")  # letters that are one cell wide, and nothing else


def harmless(text: str) -> str:
    """`text` with one sign for each letter, "?" for those that a terminal could obey; as long as it was."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else "?" for c in text)


def _widths(text: str) -> Sequence[int] | None:
    """Cells of each letter of a harmless text; None where each has one."""
    return None if _NARROW.fullmatch(text) else [get_character_cell_size(letter) for letter in text]


@dataclass(frozen=True)
class Rows:
    """A text in rows of at most `width` cells. text: harmless. starts: the first letter of each row; at least one.

    widths: cells of each letter, None where each has one. A blank at which a row ends stays in that row, and may hang
    over its end unseen.
    """

    text: str
    width: int
    starts: tuple[int, ...]
    widths: Sequence[int] | None

    def __len__(self) -> int:
        return len(self.starts)

    def span(self, row: int) -> tuple[int, int]:
        """The letters of a row: its first, and the one behind its last."""
        return self.starts[row], self.starts[row + 1] if row + 1 < len(self.starts) else len(self.text)

    def row_of(self, place: int) -> int:
        """The row in which the letter at `place` stands, or would be typed."""
        from bisect import bisect_right

        return max(0, bisect_right(self.starts, place) - 1)

    def cell_of(self, place: int) -> int:
        """How many cells are before the letter at `place` in its row."""
        begin = self.starts[self.row_of(place)]
        return place - begin if self.widths is None else sum(self.widths[begin:place])

    def at(self, row: int, cell: int) -> int:
        """The letter that stands at a cell of a row, or the end of the row where it is shorter."""
        row = max(0, min(row, len(self) - 1))
        begin, end = self.span(row)
        last = end if row == len(self) - 1 else max(begin, end - 1)
        if self.widths is None:
            return min(begin + max(0, cell), last)
        place = begin
        while place < last and cell >= self.widths[place]:
            cell -= self.widths[place]
            place += 1
        return place


def in_rows_of(text: str, width: int) -> Rows:
    """Wrap a text between words; a word that is longer than a row is cut."""
    text, width = harmless(text), max(2, width)
    widths = _widths(text)
    starts, begin = [0], 0
    while True:
        end = _reach(widths, begin, width, len(text))
        if end >= len(text):
            break
        if text[end] == " ":
            end += 1  # the blank hangs over
        elif (blank := text.rfind(" ", begin, end)) >= begin:
            end = blank + 1
        starts.append(end)
        begin = end
    # The cursor behind the last letter needs a cell too.
    cells = len(text) - begin if widths is None else sum(widths[begin:])
    if cells >= width:
        starts.append(len(text))
    return Rows(text, width, tuple(starts), widths)


def _reach(widths: Sequence[int] | None, begin: int, width: int, length: int) -> int:
    """The first letter that has no room in a row that begins at `begin`; at least one has."""
    if widths is None:
        return min(begin + width, length)
    end, left = begin, width
    while end < length and (left := left - widths[end]) >= 0:
        end += 1
    return max(end, begin + 1)
