"""What a file of settings would change in the open project, and what of it is not carried over, before it is taken."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.errors import inert
from engine.plan.kohya.outcome import Outcome
from engine.plan.preset_changes import Change
from lora_tui.import_words import notes, reasons, sentence, summary, weighty
from lora_tui.preset_shelf import counted
from lora_tui.screens.found import finding_lines
from lora_tui.screens.preset_detail import change_rows
from lora_tui.screens.reading import Reading
from lora_tui.widgets.paint import DIM, PLAIN, STRONG, WARN, line

_STAYS = "Base model, names, paths and folders of this project stay as they are."


class ImportedScreen(Reading):
    """Enter takes it (`taken` is called then), Esc leaves all as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take it", id="take", tooltip="Set these values in the project; u takes that back."),
    ]

    def __init__(self, name: str, outcome: Outcome, changes: Sequence[Change], taken: Callable[[], object]) -> None:
        super().__init__()
        self.name_of_file, self.outcome, self.changes, self._taken = name, outcome, changes, taken

    def heading(self) -> tuple[str, str]:
        ending = "Enter takes it, Esc leaves everything as it is." if self.changes else "Esc leaves."
        return f"Settings from {inert(self.name_of_file, 60)}", ending

    def lines(self, width: int) -> list[Text]:
        rows = [line((f" {part}", PLAIN)) for part in textwrap.wrap(summary(self.outcome), width)]
        for finding in self.outcome.findings:
            rows += [line(), *finding_lines(finding, width - 4)]
        rows += [line(), line((f" It {counted(self.changes)}{':' if self.changes else ' here.'}", STRONG))]
        noted = notes(self.outcome)
        for change in self.changes:
            rows += change_rows(change, width)
            note = textwrap.wrap(noted.get(change.option.name, ""), width - 4)
            rows += [line((f"     {part}", DIM)) for part in note]
        rows += [line((f" {part}", DIM)) for part in textwrap.wrap(_STAYS, width)]
        if found := weighty(self.outcome):
            rows += [line(), line((" Not carried over:", STRONG))]
        for left in found:
            first, *rest = textwrap.wrap(sentence(left), width - 4, break_on_hyphens=False) or [""]
            rows += [line((" · ", WARN), (first, PLAIN)), *(line(("   ", DIM), (part, PLAIN)) for part in rest)]
        for text in reasons(self.outcome):
            if not text.startswith(" "):  # a heading, or all in one
                rows.append(line())
            rows += [line((f" {part}", DIM)) for part in textwrap.wrap(text, width, subsequent_indent="  ")]
        return rows

    def offered(self, action: str) -> bool:
        return bool(self.changes) if action == "take" else super().offered(action)

    def action_take(self) -> None:
        if self.changes:
            self.app.pop_screen()
            self._taken()
