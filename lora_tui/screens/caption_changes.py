"""Every change that is about to be made to many captions, one a row, to look at before it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.caption_edits import Change, Operation
from engine.plan.errors import UserError
from lora_tui.caption_diff import in_one_line, side_by_side
from lora_tui.screens.list_page import beside_caption
from lora_tui.widgets.paint import BAD, DIM, line
from lora_tui.widgets.pane import PANE_KEYS, Pane


class _Lazy(Sequence[Change]):
    """Changes that are made when they are asked for."""

    def __init__(self, captions: Mapping[Path, str | None], operation: Operation) -> None:
        self._captions, self._operation = list(captions.items()), operation
        self.error: UserError | None = None  # why the last one could not be made

    def __len__(self) -> int:
        return len(self._captions)

    def __getitem__(self, index: int) -> Change:  # type: ignore[override]
        path, before = self._captions[index]
        try:
            return Change(path, before, self._operation(before or ""))
        except UserError as error:  # a backslash whose number is not typed yet
            self.error = error
            return Change(path, before, before or "")


class ChangesPane(Pane):
    """`changes` are shown; those in `without` are left as they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "ask('take')", "change them", id="changes_make", tooltip="Make the changes; u takes them back."
        ),
        Binding("space", "leave_out", "not this one", id="changes_skip", tooltip="Leave this caption as it is."),
        *PANE_KEYS,
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.changes: Sequence[Change] = ()
        self.without: set[Path] = set()

    def fill(self, changes: Sequence[Change]) -> None:
        self.changes, self.without = changes, set()
        self.repaint()

    def settle(self, changes: Sequence[Change]) -> None:
        """These are those that were filled in soon: they look the same, and what was left out of them stays so."""
        self.changes = changes

    def fill_soon(self, captions: Mapping[Path, str | None], operation: Operation) -> UserError | None:
        """Show what an operation does to captions in which it has something to do, worked out once in sight.

        Gives why it could not be done to one; that caption is shown as it is.
        """
        changes = _Lazy(captions, operation)
        self.changes, self.without = changes, set()
        self.repaint()
        return changes.error

    def repaint(self) -> None:
        self.show_rows(len(self.changes), self._line)

    @property
    def chosen(self) -> Change | None:
        return self.changes[self.here] if self.changes else None

    @property
    def wanted(self) -> list[Change]:
        """Those that are to be made."""
        return [change for change in self.changes if change.picture not in self.without]

    def _line(self, index: int) -> Text:
        change = self.changes[index]
        out = change.picture in self.without
        row = line((" x " if out else "   ", BAD), (f"{beside_caption(change.picture, self.room.width)} ", DIM))
        room = max(20, self.room.width - row.cell_len - 3)
        row.append_text(in_one_line(change.before or "", change.after, room))
        if out:
            row.stylize(Style(dim=True, strike=True), 3)
        return row

    def both(self, cells: int) -> tuple[Text, Text]:
        """The chosen caption before and after."""
        change = self.chosen
        if change is None:
            return line(), line()
        before, after = side_by_side(change.before or "", change.after, cells)
        return line((" before  ", DIM)).append_text(before), line((" after   ", DIM)).append_text(after)

    def action_leave_out(self) -> None:
        if (change := self.chosen) is not None:
            self.without ^= {change.picture}
            self.move(1)
            self.repaint()
            self.post_message(self.Chosen(self))  # how many are made is told
