"""A line of text to type."""

from __future__ import annotations

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.widgets import Input

from engine.plan.errors import inert


class _Inert(Highlighter):
    """Shows a sign for each character that a terminal could obey; the value keeps it."""

    def highlight(self, text: Text) -> None:
        plain = "".join(letter if inert(letter) == letter else "?" for letter in text.plain)
        if plain != text.plain:
            text.plain = plain


class LineInput(Input):
    """An `Input` that does not blink, and shows nothing that a terminal could obey."""

    def __init__(self, value: str = "", **more: object) -> None:
        super().__init__(value, **{"select_on_focus": False, "highlighter": _Inert(), **more})  # type: ignore[arg-type]
        self.cursor_blink = False  # over ssh a blinking cursor costs 1 kB a second

    def on_paste(self, event: events.Paste) -> None:
        """Of several lines Textual takes the first; here they become one."""
        event.prevent_default()
        event.stop()
        self.replace(" ".join(line.strip() for line in event.text.splitlines() if line.strip()), *self.selection)
