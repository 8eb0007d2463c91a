"""The line of keys at the bottom, made from the bindings themselves, so that it cannot say what is not so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.style import Style
from textual import events
from textual.app import App
from textual.binding import Binding

from lora_tui.letters import in_ascii
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, Part, line

GAP = "  "
_NAMES = {"enter": "Enter", "escape": "Esc", "tab": "Tab", "shift+tab": "Shift+Tab", "space": "Space"}


def key_name(app: App[Any], binding: Binding) -> str:
    """`Tab`, `Esc`, `?`, `p`: as it stands on the key."""
    return _NAMES.get(binding.key) or app.get_key_display(binding)


@dataclass(frozen=True)
class Hint:
    """A key as people read it, what it does, and the action to run where somebody clicks on it."""

    key: str
    label: str
    action: str


class Hints(Lines):
    """As many hints as there is room for, and always the pinned ones at the end."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._hints: list[Hint] = []
        self._pinned: list[Hint] = []
        self._places: list[tuple[int, int, str]] = []

    def show_hints(self, hints: list[Hint], pinned: list[Hint]) -> None:
        if getattr(self.app, "ascii_only", False):  # before anything is measured: the spelling may be longer
            hints = [Hint(in_ascii(hint.key), in_ascii(hint.label), hint.action) for hint in hints]
        self._hints, self._pinned = hints, pinned
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        width = self.size.width
        if not width:
            return
        room = width - 1 - sum(_cells(hint) for hint in self._pinned)
        shown = []
        for hint in self._hints:
            room -= _cells(hint)
            if room < 0:
                break
            shown.append(hint)
        parts: list[Part] = [" "]
        self._places = []
        column = 1
        for hint in [*shown, *self._pinned]:
            parts += [(hint.key, ACCENT + Style(bold=True)), (f" {hint.label}", DIM), GAP]
            self._places.append((column, column + _cells(hint) - len(GAP), hint.action))
            column += _cells(hint)
        self.show([line(*parts)])

    async def on_click(self, event: events.Click) -> None:
        for start, end, action in self._places:
            if start <= event.x < end:
                # The hints are of all that has keys now: an editor, the screen, the app.
                for owner in (self.screen.focused, self.screen, self.app):
                    if owner is not None and await self.app.run_action(action, owner):
                        return


def _cells(hint: Hint) -> int:
    return len(hint.key) + 1 + len(hint.label) + len(GAP)
