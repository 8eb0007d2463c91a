"""The tags of a caption as chips: one is chosen, and may be carried to another place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.plan.errors import inert
from lora_tui.caption_chips import TagRow
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, STRONG, line

CHIP_CELLS = 40  # a longer tag is cut
_CHOSEN = STRONG + Style(reverse=True)
_CARRIED = ACCENT + Style(bold=True, reverse=True)
_MOVE = "The tag before or after; a tag that is carried goes along."


class Chips(Lines, can_focus=True):
    """Shows a `TagRow`; says by messages what its keys ask for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "ask('add')", "add", id="chip_add", tooltip="Add tags behind the chosen one."),
        Binding("space", "carry", "carry", id="chip_carry", tooltip="Take the tag up, move it by ← →, put it down."),
        Binding("x", "ask('remove')", "remove", id="chip_remove", tooltip="Remove the chosen tag."),
        Binding("delete,backspace", "ask('remove')", "remove", show=False),
        Binding("e", "ask('replace')", "rename", id="chip_replace", tooltip="Write the chosen tag anew."),
        Binding("left", "step(-1)", "before", show=False, tooltip=_MOVE),
        Binding("right", "step(1)", "after", show=False, tooltip=_MOVE),
        Binding("home", "step(-1000000)", "first", show=False, tooltip="The first tag, or the place behind the last."),
        Binding("end", "step(1000000)", "last", show=False, tooltip="The first tag, or the place behind the last."),
        Binding("down", "picture(1)", "next", show=False, tooltip="The tags of the picture below or above."),
        Binding("up", "picture(-1)", "before", show=False, tooltip="The tags of the picture below or above."),
        Binding("escape", "ask('leave')", "done", id="chip_leave", tooltip="Back to the captions; all is saved."),
        Binding("t", "ask('leave')", "done", show=False),
    ]

    @dataclass
    class Wanted(Message):
        """A key asks for something: "add", "remove", "replace", "moved" (the order is another) or "leave"."""

        what: str

    @dataclass
    class Picture(Message):
        """The tags of another picture are wanted."""

        by: int

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.row = TagRow()

    def show_tags(self, row: TagRow) -> None:
        """Show these from now on."""
        self.row = row
        self.paint()

    def paint(self) -> None:
        """Show what the row is now: in lines, the one with the chosen tag in sight."""
        width, height = self.size
        if not width or not height:
            return
        rows, here = [line(" ")], 0
        for place, tag in enumerate([*self.row.tags, "+"]):
            chip = self._chip(place, tag)
            if rows[-1].cell_len + chip.cell_len > width and rows[-1].cell_len > 1:
                rows.append(line(" "))
            if place == self.row.at:
                here = len(rows) - 1
            rows[-1].append_text(chip)
            rows[-1].append(" ")
        top = max(0, min(here - height // 2, len(rows) - height))
        self.show(rows[top : top + height])

    def _chip(self, place: int, tag: str) -> Text:
        words = inert(tag, CHIP_CELLS)
        if place != self.row.at or not self.has_focus:
            return line(("[", DIM), (words, PLAIN), ("]", DIM))
        if self.row.carried:
            return line((f"<{words}>", _CARRIED))
        return line((f"[{words}]", _CHOSEN))

    def on_focus(self) -> None:
        self.paint()

    def on_blur(self) -> None:
        self.paint()

    def on_resize(self) -> None:
        self.paint()

    # --------------------------------------------------------------------------------------------------------- keys
    def action_step(self, by: int) -> None:
        before = list(self.row.tags)
        self.row.step(by)
        self.paint()
        self.post_message(self.Wanted("moved" if before != self.row.tags else "stepped"))

    def action_carry(self) -> None:
        self.row.carry()
        self.paint()
        self.post_message(self.Wanted("stepped"))

    def action_ask(self, what: str) -> None:
        self.post_message(self.Wanted(what))

    def action_picture(self, by: int) -> None:
        self.post_message(self.Picture(by))
