"""What can be done to many captions at once: a list to choose from, and how each is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lora_tui.widgets.paint import DIM, STRONG, line
from lora_tui.widgets.pane import PANE_KEYS, Pane

TITLE_CELLS = 26


@dataclass(frozen=True)
class Operation:
    """One line of the list. asks: what has to be typed for it, one question after the other."""

    name: str
    title: str
    about: str
    asks: tuple[str, ...] = ()


OPERATIONS = (
    Operation("replace", "Find and replace…", "a text, whole words, or a regular expression", ("Find", "Replace by")),
    Operation("prefix", "Put in front…", "such as the trigger word; not where it is already", ("Put in front",)),
    Operation("suffix", "Put at the end…", "not where it is already", ("Put at the end",)),
    Operation("remove", "Remove a tag…", "wherever it stands between commas", ("Remove the tag",)),
    Operation("repeated", "Remove repeated tags", "each stays once, at its first place"),
    Operation("sort", "Sort the tags", "by the alphabet; the trigger word stays in front"),
    Operation("trim", "Tidy blanks and commas", "no blank twice, no comma twice, none at the ends"),
)


class OperationsPane(Pane):
    """One row for each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "ask('take')", "do it", id="operation", tooltip="Asks what is needed, then shows every change."
        ),
        *PANE_KEYS,
    ]

    def fill(self) -> None:
        self.show_rows(len(OPERATIONS), self._line)

    def _line(self, index: int) -> Text:
        operation = OPERATIONS[index]
        return line((f"{operation.title:<{TITLE_CELLS}}", STRONG), (operation.about, DIM))

    @property
    def chosen(self) -> Operation:
        return OPERATIONS[self.here]
