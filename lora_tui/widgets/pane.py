"""A list that takes the place of another one for a while, with keys of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from lora_tui.widgets.listing import Listing

_ENDS = 10_000_000  # rows, in both directions
PANE_KEYS: list[BindingType] = [
    Binding("up", "row(-1)", "row", show=False, tooltip="The row above or below."),
    Binding("down", "row(1)", "row", show=False, tooltip="The row above or below."),
    Binding("left,pageup", "page(-1)", "page", show=False, tooltip="A page up or down."),
    Binding("right,pagedown", "page(1)", "page", show=False, tooltip="A page up or down."),
    Binding("home", f"row(-{_ENDS})", "first", show=False, tooltip="The first or the last row."),
    Binding("end", f"row({_ENDS})", "last", show=False, tooltip="The first or the last row."),
    Binding("escape", "ask('leave')", "back", id="pane_leave", tooltip="Back to the captions."),
]


class Pane(Listing, can_focus=True):
    """Hidden until it has the class `-on`. A subclass gives its keys; all say by `Wanted` what they ask for."""

    BINDINGS: ClassVar[list[BindingType]] = PANE_KEYS

    @dataclass
    class Wanted(Message):
        """A key asks for something. pane: whose key it was. what: the word in the binding."""

        pane: Pane
        what: str

    @dataclass
    class Chosen(Message):
        """Another row of a pane is chosen."""

        pane: Pane

    def action_row(self, by: int) -> None:
        self.move(by)

    def action_page(self, by: int) -> None:
        self.move(by * self.page)

    def action_ask(self, what: str) -> None:
        self.post_message(self.Wanted(self, what))

    def on_listing_moved(self, event: Listing.Moved) -> None:
        event.stop()
        self.post_message(self.Chosen(self))

    def on_listing_opened(self, event: Listing.Opened) -> None:
        event.stop()
        self.action_ask("take")
