"""All keys of the screen one came from, with what they do, made from its bindings."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from lora_tui.screens.page import Page
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, STRONG, line


class Help(Page[None]):
    """A list that scrolls."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="back", tooltip="Back to the screen before."),
        Binding("question_mark", "back", "back", show=False),
        Binding("q", "back", "back", show=False),
        Binding("up", "scroll(-1)", "up", id="up", tooltip="Scroll up."),
        Binding("down", "scroll(1)", "down", id="down", tooltip="Scroll down."),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "end(-1)", "first", show=False),
        Binding("end", "end(1)", "last", show=False),
    ]

    def __init__(self, rows: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self.rows = rows

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        with VerticalScroll(id="keys", can_focus=False):
            yield Lines(id="rows")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self.query_one("#header", Lines).show(
            [line((" Keys", STRONG)), line((" Everything here, and what it does", DIM))]
        )
        self._lay_out(self.app.size.width)
        self.show_hints()

    def on_resize(self) -> None:
        self._lay_out(self.app.size.width)

    def _lay_out(self, width: int) -> None:
        rows = [line()]
        before = max((len(keys) for keys, _, _ in self.rows), default=0) + 2
        names = max((len(label) for _, label, _ in self.rows), default=0) + 2
        for keys, label, tooltip in self.rows:
            words = textwrap.wrap(tooltip, max(20, width - before - names - 4)) or [""]
            rows.append(line("  ", (f"{keys:<{before}}", ACCENT), (f"{label:<{names}}", STRONG), words[0]))
            rows += [line(" " * (before + names + 2), more) for more in words[1:]]
        rows += [line(), line(("  To select text with the mouse, hold Shift while you drag.", DIM))]
        self.query_one("#rows", Lines).show(rows)

    def action_scroll(self, by: int) -> None:
        self.query_one("#keys", VerticalScroll).scroll_relative(y=by * 3, animate=False)

    def action_page(self, by: int) -> None:
        keys = self.query_one("#keys", VerticalScroll)
        keys.scroll_relative(y=by * max(1, keys.size.height - 1), animate=False)

    def action_end(self, by: int) -> None:
        keys = self.query_one("#keys", VerticalScroll)
        keys.scroll_to(y=keys.max_scroll_y if by > 0 else 0, animate=False)

    def action_back(self) -> None:
        self.dismiss(None)
