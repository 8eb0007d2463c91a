"""Everything that was found of a project, each with its remedy: the screen behind `w`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from engine.plan.errors import Finding
from lora_tui.screens.page import Page
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import BAD, DIM, PLAIN, STRONG, WARN, line

if TYPE_CHECKING:
    from lora_tui.pages import Pages


class FoundScreen(Page):
    """What blocks a training first, then what is worth a look, then notes."""

    CSS_PATH = "log.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="back", tooltip="Back to the step."),
        Binding("w", "back", "back", show=False),
        Binding("up", "scroll(-1)", "up", id="up", tooltip="Up."),
        Binding("down", "scroll(1)", "down", id="down", tooltip="Down."),
    ]

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self._pages = pages

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        with VerticalScroll(id="whole", can_focus=False):
            yield Lines(id="lines")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self.query_one("#header", Lines).show([line((" What was found", STRONG)), line((" worst first", DIM))])
        self._lay_out()
        self.show_hints()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        survey = self._pages.wizard.survey
        found = [] if survey is None else [*survey.blocking, *survey.warnings, *_notes(survey.findings)]
        rows: list[Text] = []
        for finding in found:
            rows += [*finding_lines(finding, max(30, self.app.size.width - 6)), line()]
        nothing = "Nothing: all is in order." if survey is not None else "The project is still being looked at."
        self.query_one("#lines", Lines).show(rows or [line((f" {nothing}", PLAIN))])

    def action_scroll(self, by: int) -> None:
        self.query_one("#whole", VerticalScroll).scroll_relative(y=by * 2, animate=False)

    def action_back(self) -> None:
        self.app.pop_screen()


def _notes(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "note" and not finding.stops_training()]


def finding_lines(finding: Finding, width: int) -> list[Text]:
    """A finding in lines: its mark, what is so, what to do."""
    mark, style = ("x", BAD) if finding.stops_training() else ("!", WARN) if finding.level != "note" else ("·", DIM)
    first, *rest = textwrap.wrap(finding.message, width) or [""]
    rows = [line((f" {mark} ", style), (first, PLAIN)), *(line("   ", (part, PLAIN)) for part in rest)]
    return rows + [line("   ", (part, DIM)) for part in textwrap.wrap(finding.hint, width)]
