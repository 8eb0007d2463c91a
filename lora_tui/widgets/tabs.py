"""One row of names, one of them in front: how the panels of a large screen fold up on a small one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual import events
from textual.message import Message

from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, BACKGROUND, DIM, Part, line

_CHOSEN = Style(color=BACKGROUND, bgcolor=ACCENT.color, bold=True)


class Tabs(Lines):
    """Numbered from 1, as the digit keys that choose them, where these do."""

    @dataclass
    class Chosen(Message):
        """Somebody clicked on a name."""

        name: str

    def __init__(self, names: Mapping[str, str], *, id: str | None = None, numbered: bool = True) -> None:
        super().__init__(id=id)
        self._names = dict(names)
        self._numbered = numbered
        self._places: list[tuple[int, int, str]] = []

    def choose(self, name: str) -> None:
        parts: list[Part] = []
        self._places = []
        column = 0
        for number, (key, title) in enumerate(self._names.items(), 1):
            # The brackets say without colours which one is in front.
            label = f"{number} {title}" if self._numbered else title
            text = f"[{label}]" if key == name else f" {label} "
            parts += [(text, _CHOSEN)] if key == name else [(text[:2], ACCENT), (text[2:], DIM)]
            self._places.append((column, column + len(text), key))
            column += len(text)
        self.show([line(*parts)])

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._places:
            if start <= event.x < end:
                self.post_message(self.Chosen(name))
