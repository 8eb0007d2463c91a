"""A screen of text to read: a title, lines that scroll, and the way back."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from lora_tui.screens.page import Page
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, line


class Reading(Page[None]):
    """A subclass gives `TITLE_WORDS`, `BELOW` and `lines(width)`."""

    CSS_PATH = "log.tcss"
    TITLE_WORDS: ClassVar[str] = ""
    BELOW: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="back", tooltip="Back to the screen before."),
        Binding("up", "scroll(-1)", "up", id="up", tooltip="Up."),
        Binding("down", "scroll(1)", "down", id="down", tooltip="Down."),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "end(-1)", "first", show=False),
        Binding("end", "end(1)", "last", show=False),
    ]

    def lines(self, width: int) -> list[Text]:
        """What is to be read, wrapped to `width` cells."""
        raise NotImplementedError

    def heading(self) -> tuple[str, str]:
        """The title, and the line below it."""
        return self.TITLE_WORDS, self.BELOW

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        with VerticalScroll(id="whole", can_focus=False):
            yield Lines(id="lines")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        title, below = self.heading()
        self.query_one("#header", Lines).show([line((f" {title}", STRONG)), line((f" {below}", DIM))])
        self.lay_out()
        self.show_hints()

    def on_resize(self) -> None:
        self.lay_out()

    def lay_out(self) -> None:
        self.query_one("#lines", Lines).show(self.lines(max(30, self.app.size.width - 6)))

    def action_scroll(self, by: int) -> None:
        self.query_one("#whole", VerticalScroll).scroll_relative(y=by * 2, animate=False)

    def action_page(self, by: int) -> None:
        place = self.query_one("#whole", VerticalScroll)
        place.scroll_relative(y=by * max(1, place.size.height - 1), animate=False)

    def action_end(self, by: int) -> None:
        place = self.query_one("#whole", VerticalScroll)
        place.scroll_to(y=0 if by < 0 else place.max_scroll_y, animate=False)

    def action_back(self) -> None:
        self.app.pop_screen()
