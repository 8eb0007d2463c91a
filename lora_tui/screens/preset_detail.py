"""What a preset changes in the open project, to be read before it is taken."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.preset_changes import Change
from engine.plan.presets import Preset
from lora_tui.folder_contents import fitted
from lora_tui.preset_shelf import counted, told
from lora_tui.screens.reading import Reading
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, STRONG, line

LABEL_CELLS = 28  # as in the form that the options stand in
_STAYS = "Base model, names, paths and words of this project stay as they are."


class PresetDetail(Reading):
    """Enter takes it (`taken` is called then), Esc leaves all as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take it", id="take", tooltip="Start from this preset; u takes that back."),
    ]

    def __init__(self, preset: Preset, changes: Sequence[Change], taken: Callable[[], object]) -> None:
        super().__init__()
        self.preset, self.changes, self._taken = preset, changes, taken

    def heading(self) -> tuple[str, str]:
        return self.preset.title, "Enter takes it, Esc leaves everything as it is."

    def lines(self, width: int) -> list[Text]:
        rows = [line((f" {part}", PLAIN)) for part in textwrap.wrap(self.preset.when, width)]
        rows += [line(), line((f" It {counted(self.changes)}{':' if self.changes else ' here.'}", STRONG))]
        for change in self.changes:
            rows += change_rows(change, width)
        rows.append(line((f" {_STAYS}", DIM)))
        if self.preset.notes:
            rows.append(line())
        for note in self.preset.notes:
            first, *rest = textwrap.wrap(note, width - 2) or [""]
            rows += [line((" · ", DIM), (first, DIM)), *(line(("   ", DIM), (part, DIM)) for part in rest)]
        return rows

    def action_take(self) -> None:
        self.app.pop_screen()
        self._taken()


def change_rows(change: Change, width: int) -> list[Text]:
    """An option in one row, `old → new`; long values each from a row of its own on."""
    title, before, after = told(change)
    room = max(20, width - LABEL_CELLS - 2)
    label = (f"   {fitted(title, LABEL_CELLS)} ", PLAIN)
    if len(before) + len(after) + 4 <= room:
        return [line(label, (before, DIM), (" → ", ACCENT), (after, STRONG))]
    rows = [line(label, (part, DIM)) if at == 0 else line(" " * (LABEL_CELLS + 4), (part, DIM))
            for at, part in enumerate(_wrapped(before, room))]  # fmt: skip
    for at, part in enumerate(_wrapped(after, room)):
        rows.append(line(" " * (LABEL_CELLS + 2), ("→ " if at == 0 else "  ", ACCENT), (part, STRONG)))
    return rows


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room - 3, break_on_hyphens=False) or [""]
