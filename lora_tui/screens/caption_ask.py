"""The line at the top of the captions in which words are asked for: a filter, what to find, a tag to add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len
from textual.binding import Binding
from textual.widgets.input import Selection

from lora_tui.screens.list_page import ListPage
from lora_tui.widgets.form import RowInput
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, STRONG, line


@dataclass
class Asked:
    """A question. live: called with what is typed, at every letter. done: with what was typed, at Enter. left: at Esc.

    takes: what the hint of Enter says. says: what the line at the bottom says meanwhile. tab: what Tab does, its label
    and what to call. arrow: what the arrow keys up and down do.
    """

    label: str
    done: Callable[[str], object]
    left: Callable[[], object]
    says: str = ""
    takes: str = "take it"
    value: str = ""
    live: Callable[[str], object] | None = None
    tab: tuple[str, Callable[[], object]] | None = None
    arrow: Callable[[int], object] | None = None


class AskInput(RowInput):
    """Tab does what the question says."""

    BINDINGS = [Binding("tab", "tab", "", id="complete", tooltip="Complete it, or the next way to look for it.")]  # noqa: RUF012

    def action_tab(self) -> None:
        page = self.screen
        if isinstance(page, Asking) and page.asked is not None and page.asked.tab is not None:
            page.asked.tab[1]()


class Asking(ListPage):
    """A page with `#summary` and `#ask` in one row; while something is asked the summary is its label."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self.asked: Asked | None = None

    @property
    def ask_row(self) -> AskInput:
        return self.query_one("#ask", AskInput)

    def ask(self, asked: Asked) -> None:
        """Ask for a line of text; one that is being asked for already is forgotten."""
        self.asked = asked
        self._news = None
        row = self.ask_row
        with self.prevent(RowInput.Changed):
            row.value = asked.value
        row.selection = Selection(0, len(asked.value))  # what is typed takes its place; an arrow key keeps it
        row.add_class("-on")
        self.relabel(asked.label)
        self.set_focus(row)  # at once, so that the status is painted once
        self.show_status()

    def relabel(self, label: str) -> None:
        """Call what is asked for by another name."""
        if self.asked is not None:
            self.asked.label = label
        summary = self.query_one("#summary", Lines)
        summary.styles.width = cell_len(label) + 3
        summary.show([line((f" {label}", STRONG), (": ", ACCENT))])

    def ask_no_more(self) -> None:
        """Put the line away."""
        self.asked = None
        self.ask_row.remove_class("-on")
        self.query_one("#summary", Lines).styles.width = "1fr"
        self.set_focus(None)
        self.show_summary()

    def show_summary(self) -> None:
        """What stands in the upper line while nothing is asked for."""
        raise NotImplementedError

    def typed_in_ask(self, text: str) -> None:
        if self.asked is not None and self.asked.live is not None:
            self.asked.live(text)
            self.show_status()

    def take_asked(self, text: str) -> None:
        """Enter: what is typed is taken; whoever asked may ask for the next thing."""
        asked = self.asked
        if asked is not None:
            self.ask_no_more()
            asked.done(text)

    def leave_asked(self) -> None:
        asked = self.asked
        if asked is not None:
            self._news = None  # what was said of what was typed
            self.ask_no_more()
            asked.left()
