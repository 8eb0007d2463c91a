"""A list of any length with one row chosen; only the rows in sight are ever drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.message import Message

from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, FAINT, RAISED, line

_HERE = Style(bgcolor=RAISED, bold=True)
_MARGIN = 1  # rows that stay in sight above and below the chosen one


class Listing(Lines):
    """`show_rows(count, draw)` shows rows; `draw(index)` gives the line of one without its cursor.

    has_bar: a scroll bar at the right where there are more rows than fit; for lists whose length is told nowhere else.
    """

    DEFAULT_CSS = "Listing { height: 1fr; width: 1fr; }"

    @dataclass
    class Moved(Message):
        """Another row is chosen."""

        index: int

    @dataclass
    class Opened(Message):
        """A double click on a row."""

        index: int

    def __init__(self, *, id: str, has_bar: bool = False) -> None:
        super().__init__(id=id)
        self._has_bar = has_bar
        self.count = 0
        self.here = 0
        self._top = 0
        self._extent = Size(0, 0)  # as it was in sight last
        self._row: Callable[[int], Text] = lambda index: Text()

    def show_rows(self, count: int, draw: Callable[[int], Text]) -> None:
        """Show these rows from now on; the place stays as far as it can."""
        self.count, self._row = count, draw
        self.here = max(0, min(self.here, count - 1))
        self._paint()

    def choose(self, index: int) -> None:
        """Choose a row and bring it into sight."""
        index = max(0, min(index, self.count - 1))
        if index != self.here:
            self.here = index
            self.post_message(self.Moved(index))
        self._paint()

    def move(self, by: int) -> None:
        self.choose(self.here + by)

    @property
    def page(self) -> int:
        """How many rows are in sight."""
        return max(1, self.room.height)

    @property
    def room(self) -> Size:
        """The cells there are. Out of sight those there were last, or those of the list whose place it takes, or of the
        app: so its rows are painted once when it comes into sight, not first for another width."""
        if self.size:
            self._extent = self.size
        elif not self._extent:
            return next(
                (other.size for other in self.siblings if isinstance(other, Listing) and other.size), self.app.size
            )
        return self._extent

    def _paint(self) -> None:
        height, width = self.page, self.room.width
        barred = self._has_bar and self.count > height
        width -= 2 if barred else 0
        margin = _MARGIN if height > 2 * _MARGIN else 0
        lowest = max(0, self.count - height)
        if not self._top + margin <= self.here < self._top + height - margin:
            # By half a page at once: of ten moves nine then change two rows only, which counts over a slow line.
            self._top = self.here - height // 2
        self._top = max(0, min(self._top, lowest))
        rows = []
        for index in range(self._top, min(self.count, self._top + height)):
            here = index == self.here
            row = line((" ▸ " if here else "   ", ACCENT))
            row.append_text(self._row(index))
            if here:
                row.pad_right(max(0, width - row.cell_len))
                row.stylize(_HERE)
            rows.append(row)
        self.show(self._with_bar(rows, width) if barred else rows)

    def _with_bar(self, rows: list[Text], width: int) -> list[Text]:
        """The rows, `width` cells of each, and the bar behind them: its thumb is where the rows in sight are."""
        height = len(rows)
        thumb = max(1, height * height // self.count)
        begin = round((height - thumb) * self._top / (self.count - height))
        for place, row in enumerate(rows):
            if row.cell_len > width:
                row.truncate(width - 3)  # in ASCII the sign takes three cells
                row.append("…")
            row.pad_right(max(0, width + 1 - row.cell_len))
            row.append_text(line(("█", DIM) if begin <= place < begin + thumb else ("│", FAINT)))
        return rows

    def on_resize(self) -> None:
        self._paint()

    def on_click(self, event: events.Click) -> None:
        index = self._top + event.y
        if not 0 <= index < self.count:
            return
        if event.chain == 2 and index == self.here:  # another one may have come under the pointer
            self.post_message(self.Opened(index))
        self.choose(index)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.move(-3)
