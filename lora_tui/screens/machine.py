"""This machine and this terminal: what `lora-tui doctor` says, as a screen."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.errors import inert
from lora_tui import themes
from lora_tui.aside import aside
from lora_tui.checkup import Check, all_checks
from lora_tui.screens.reading import Reading
from lora_tui.widgets.paint import DIM, MARKS, PLAIN, line

NAME_CELLS = 20
_MARKS = {"ok": "ok", "warning": "!", "error": "x"}


class MachineScreen(Reading):
    """The checks take some seconds, most of them torch's, and are done aside."""

    TITLE_WORDS = "This machine"
    BELOW = "what lora-tui doctor says, with what to do"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "theme", "theme", id="theme", tooltip="Dark, light, high contrast, or no colours at all."),
        Binding("exclamation_mark", "back", "back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._checks: list[Check] | None = None

    def on_mount(self) -> None:
        super().on_mount()
        aside(lambda: list(all_checks()), self._found)

    def _found(self, checks: list[Check]) -> None:
        self._checks = checks
        if self.is_attached:
            self.lay_out()

    def action_theme(self) -> None:
        self.app.choose_theme(themes.following(self.app.theme_name))  # type: ignore[attr-defined]
        self.lay_out()

    def lines(self, width: int) -> list[Text]:
        if self._checks is None:
            return [line((" Looking; this takes some seconds…", DIM))]
        name = getattr(self.app, "theme_name", "dark")
        words = (f"{name}: {themes.THEMES[name]}", PLAIN)
        rows = [line((" ok ", MARKS["ok"]), (f"{'theme':<{NAME_CELLS}}", DIM), words)]
        for check in self._checks:
            mark = _MARKS[check.status]
            first, *rest = textwrap.wrap(inert(check.value), max(20, width - NAME_CELLS - 5)) or [""]
            rows.append(line((f" {mark:<3}", MARKS[mark]), (f"{inert(check.name):<{NAME_CELLS}}", DIM), (first, PLAIN)))
            more = [*rest, *textwrap.wrap(inert(check.advice), max(20, width - NAME_CELLS - 5))]
            rows += [line(" " * (NAME_CELLS + 4), (part, DIM)) for part in more]
        return rows
