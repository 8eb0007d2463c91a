"""Two questions a screen may ask: which of a few things to do, and for a line of text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from lora_tui.widgets.hints import key_name
from lora_tui.widgets.line_input import LineInput
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, STRONG, Part, line


@dataclass(frozen=True)
class Choice:
    """One answer: `value` is handed back, `label` and `detail` are shown."""

    value: str
    label: str
    detail: str = ""


MOST_CELLS, PADDING_CELLS = 72, 6  # across, as dialogs.tcss has it


def _room(screen: ModalScreen[str]) -> int:
    """Cells across for the lines of a dialog."""
    return max(20, min(MOST_CELLS, int(screen.app.size.width * 0.96)) - PADDING_CELLS)


def _wrapped(text: str, width: int) -> list[str]:
    """In lines, of which none is cut: a path may be longer than a line."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _lines(text: str, style: Style, width: int) -> list[Text]:
    return [line((part, style)) for part in _wrapped(text, width)]


def _keys(screen: ModalScreen[str], *names: str) -> list[tuple[str, str]]:
    bound = {active.binding.id: active.binding for active in screen.active_bindings.values()}
    return [
        (key_name(screen.app, bound[name]), bound[name].description)
        for name in names
        if name in bound  # an Input may have taken one
    ]


class Question(ModalScreen[str]):
    """Answers with the value of the choice taken, or "" where it was left. The first choice is the safe one."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", id="up"),
        Binding("down", "move(1)", "down", id="down"),
        Binding("enter", "take", "do it", id="take"),
        Binding("escape", "dismiss('')", "leave it", id="back"),
        Binding("q", "dismiss('')", "leave it", show=False),
    ]

    def __init__(self, title: str, choices: list[Choice]) -> None:
        super().__init__()
        self._title_words, self.choices = title, choices
        self.at = 0
        self._places: list[int] = []  # the choice that each row belongs to

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Lines(id="question")
            yield Lines(id="choices")
            yield Lines(id="keys")

    def on_mount(self) -> None:
        hints = [part for key, label in _keys(self, "up", "down", "take", "back") for part in _hint(key, label)]
        self.query_one("#keys", Lines).show([line(), line(*hints)])
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def _paint(self) -> None:
        room = _room(self)
        self.query_one("#question", Lines).show([*_lines(self._title_words, STRONG, room), line()])
        rows, self._places = [], []
        for index, choice in enumerate(self.choices):
            here = index == self.at
            label = _wrapped(choice.label, room - 2)
            detail = _wrapped(choice.detail, room - 4) if choice.detail else []
            for place, part in enumerate(label):
                sign = "▸ " if here and place == 0 else "  "
                rows.append(line((sign, ACCENT), (part, STRONG if here else DIM)))
            rows += [line((f"    {part}", DIM)) for part in detail]
            self._places += [index] * (len(label) + len(detail))
        self.query_one("#choices", Lines).show(rows)

    def action_move(self, by: int) -> None:
        self.at = (self.at + by) % len(self.choices)
        self._paint()

    def action_take(self) -> None:
        self.dismiss(self.choices[self.at].value)

    def on_click(self, event: events.Click) -> None:
        """A click on a choice takes it; one beside the question leaves it."""
        choices = self.query_one("#choices", Lines).region
        if choices.contains(event.screen_x, event.screen_y):
            self.dismiss(self.choices[self._places[event.screen_y - choices.y]].value)
        elif not self.query_one("#dialog").region.contains(event.screen_x, event.screen_y):
            self.dismiss("")


class Ask(ModalScreen[str]):
    """Asks for one line of text; answers with it, which may be "", or with None where the question was left."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "#answer"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave it", id="back")]

    def __init__(self, title: str, value: str, detail: str = "") -> None:
        super().__init__()
        self._title_words, self._value, self._detail = title, value, detail

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Lines(id="question")
            yield LineInput(self._value, id="answer")
            yield Lines(id="keys")

    def on_mount(self) -> None:
        hints = [part for key, label in _keys(self, "back") for part in _hint(key, label)]
        self.query_one("#keys", Lines).show([line(), line(*_hint("Enter", "take it"), *hints)])
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def _paint(self) -> None:
        room = _room(self)
        detail = _lines(self._detail, DIM, room) if self._detail else []
        self.query_one("#question", Lines).show([*_lines(self._title_words, STRONG, room), *detail, line()])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)


def _hint(key: str, label: str) -> list[Part]:
    return [(key, ACCENT), (f" {label}  ", DIM)]
