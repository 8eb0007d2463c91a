"""Which GPU to plan for: this machine's own, or one of the catalogue. Letters and digits narrow the list."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.gpu_catalogue import Card, cards
from lora_tui.hardware import planned
from lora_tui.screens.page import Page
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, STRONG, line

NAME_CELLS = 24
LONGEST_WORDS = 40
_ENDS = 1000  # rows, in both directions


class GpusScreen(Page["Card | str | None"]):
    """Answers with a card, with "" for this machine's own, or None where it was left."""

    CSS_PATH = "log.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "plan for it", id="take", tooltip="Plan for the chosen GPU, in every project."),
        Binding("up", "row(-1)", "up", id="up", tooltip="The row above or below."),
        Binding("down", "row(1)", "down", id="down", tooltip="The row above or below."),
        Binding("pageup", "page(-1)", "", show=False, tooltip="A page up or down."),
        Binding("pagedown", "page(1)", "", show=False, tooltip="A page up or down."),
        Binding("home", f"row(-{_ENDS})", "", show=False, tooltip="The first or the last row."),
        Binding("end", f"row({_ENDS})", "", show=False, tooltip="The first or the last row."),
        Binding("backspace", "rub_out", "", show=False, tooltip="Takes back the last letter."),
        Binding("escape", "back", "back", id="back", tooltip="Back, without a change."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._words = ""
        self._rows: list[Card | None] = [None, *cards()]

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Listing(id="whole", has_bar=True)
        yield Hints(id="hints")

    def on_mount(self) -> None:
        chosen = planned()
        self._show()
        self.query_one(Listing).choose(self._rows.index(chosen) if chosen in self._rows else 0)
        self.show_hints()

    def on_key(self, event: events.Key) -> None:
        letter = event.character or ""
        if self._leaves and letter == "q":  # the app's own key, which the key line names
            return
        if len(letter) == 1 and letter.isascii() and (letter.isalnum() or letter == " "):
            event.stop()
            self._narrow((self._words + letter)[:LONGEST_WORDS])

    @property
    def _leaves(self) -> bool:
        """Whether q leaves; once letters are typed it is one of them."""
        return not self._words

    def _bound(self) -> list[Binding]:
        return [found for found in super()._bound() if self._leaves or found.key != "q"]

    def _narrow(self, words: str) -> None:
        """All words have to stand in the name of a GPU; what would leave nothing is not taken."""
        rows = [card for card in cards() if all(word in card.name.lower() for word in words.lower().split())]
        if words == self._words or (words.strip() and not rows):
            return
        self._words = words
        self._rows = [*rows] if words.strip() else [None, *cards()]
        self._show()
        self.show_hints()
        self.query_one(Listing).choose(0)  # the row of that number is another GPU now

    def _show(self) -> None:
        below = f"Narrowed to: {self._words}" if self._words else "Type letters and digits to narrow the list."
        title = "Which GPU do you plan for?"
        self.query_one("#header", Lines).show([line((f" {title}", STRONG)), line((f" {below}", DIM))])
        self.query_one(Listing).show_rows(len(self._rows), self._row)

    def _row(self, index: int) -> Text:
        card = self._rows[index]
        if card is None:
            return line((f"{'This machine':<{NAME_CELLS}}", PLAIN), ("what is found here", DIM))
        mark = ("  planned for", ACCENT) if card == planned() else ("", DIM)
        return line((f"{card.name:<{NAME_CELLS}}", PLAIN), (card.facts, DIM), mark)

    def action_row(self, by: int) -> None:
        self.query_one(Listing).move(by)

    def action_page(self, by: int) -> None:
        listing = self.query_one(Listing)
        listing.move(by * listing.page)

    def action_rub_out(self) -> None:
        self._narrow(self._words[:-1])

    def action_take(self) -> None:
        if self._rows:
            self.dismiss(self._rows[self.query_one(Listing).here] or "")

    def on_listing_opened(self, event: Listing.Opened) -> None:
        self.action_take()

    def action_back(self) -> None:
        self.dismiss(None)
