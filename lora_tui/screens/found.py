"""Everything that was found of a project, each with its remedy: the screen behind `w`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.errors import Finding
from lora_tui.option_texts import typed_findings
from lora_tui.screens.reading import Reading
from lora_tui.widgets.paint import BAD, DIM, PLAIN, WARN, line

if TYPE_CHECKING:
    from lora_tui.pages import Pages


class FoundScreen(Reading):
    """What blocks a training first, then what is worth a look, then notes."""

    TITLE_WORDS = "What was found"
    BELOW = "worst first"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("w", "back", "back", show=False)]

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self._pages = pages

    def lines(self, width: int) -> list[Text]:
        survey = self._pages.wizard.survey
        if survey is None:
            return [line((" The project is still being looked at.", PLAIN))]
        rows: list[Text] = []
        if trouble := self._pages.wizard.draft.trouble_words:
            rows += [*finding_lines(Finding("trouble", trouble, level="error"), width), line()]
        typed = typed_findings(self._pages.wizard.draft.typed)
        for finding in [*survey.blocking, *typed, *survey.warnings, *survey.notes]:
            rows += [*finding_lines(finding, width), line()]
        return rows or [line((" Nothing: all is in order.", PLAIN))]


def finding_lines(finding: Finding, width: int) -> list[Text]:
    """A finding in lines: its mark, what is so, what to do."""
    mark, style = ("x", BAD) if finding.stops_training() else ("!", WARN) if finding.level != "note" else ("·", DIM)
    first, *rest = textwrap.wrap(finding.message, width) or [""]
    rows = [line((f" {mark} ", style), (first, PLAIN)), *(line("   ", (part, PLAIN)) for part in rest)]
    return rows + [line("   ", (part, DIM)) for part in textwrap.wrap(finding.hint, width)]
