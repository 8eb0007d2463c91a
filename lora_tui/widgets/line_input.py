"""A line of text to type, in which keys that arrive together take effect in the order in which they were pressed."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.widgets import Input

from engine.plan.errors import inert

_EDITS = {
    "backspace": "delete_left",
    "ctrl+h": "delete_left",
    "delete": "delete_right",
    "ctrl+d": "delete_right",
    "left": "cursor_left",
    "right": "cursor_right",
    "home": "home",
    "ctrl+a": "home",
    "end": "end",
    "ctrl+e": "end",
    "ctrl+u": "delete_left_all",
    "ctrl+k": "delete_right_all",
    "ctrl+w": "delete_left_word",
}
"""Keys that edit, and Textual's action for each. Over a slow line many keys come in one piece; Textual inserts the
letters of such a piece at once and does its bindings later, so that a Backspace in it would take the last letter."""


class _Inert(Highlighter):
    """Shows a sign for each character that a terminal could obey; the value keeps it."""

    def highlight(self, text: Text) -> None:
        plain = "".join(letter if inert(letter) == letter else "?" for letter in text.plain)
        if plain != text.plain:
            text.plain = plain


class LineInput(Input):
    """An `Input` that does not blink, edits in order, and shows nothing that a terminal could obey."""

    def __init__(self, value: str = "", **more: object) -> None:
        super().__init__(value, **{"select_on_focus": False, "highlighter": _Inert(), **more})  # type: ignore[arg-type]
        self.cursor_blink = False  # over ssh a blinking cursor costs 1 kB a second

    async def _on_key(self, event: events.Key) -> None:
        name = _EDITS.get(event.key)
        if name is None:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        done: Awaitable[None] | None = getattr(self, f"action_{name}")()
        if isawaitable(done):
            await done
