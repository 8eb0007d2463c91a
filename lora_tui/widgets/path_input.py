"""A line to type a path into: Tab completes it as in a shell, and what is pasted or dropped becomes a plain path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from lora_tui.aside import aside
from lora_tui.paths import Completion, clean, complete
from lora_tui.widgets.line_input import LineInput


class PathInput(LineInput):
    """Give it a width, and listen for `Input.Submitted` and `Completed`. `path` is what was typed, as a plain path."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", id="complete", tooltip="Complete the path; again to see what fits."),
        Binding("enter", "submit", "take it", id="submit", tooltip="Take the path as it stands."),
    ]

    @dataclass
    class Completed(Message):
        """Tab was pressed: these names fit, folders with a slash, and `more` beyond them. Names come from strangers."""

        candidates: tuple[str, ...]
        more: int = 0

    def __init__(
        self,
        value: str = "",
        *,
        folders_only: bool = False,
        suffixes: Sequence[str] = (),
        start: str = "",
        placeholder: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """folders_only, suffixes, start: as `paths.complete` takes them. They may be changed at any time."""
        super().__init__(value, placeholder=placeholder, id=id, classes=classes)
        self.folders_only, self.suffixes, self.start = folders_only, tuple(suffixes), start
        self._asked: tuple[str, str] | None = None  # what is being completed

    @property
    def path(self) -> str:
        """What was typed, without quotes and the like, `~` written out; "" for nothing. Relative to `start`."""
        return clean(self.value)

    def action_complete(self) -> None:
        """Complete what stands before the cursor. A slow disk keeps nobody from typing on."""
        before, after = self.value[: self.cursor_position], self.value[self.cursor_position :]
        if self._asked == (before, after):
            return
        asked = self._asked = (before, after)
        folders_only, suffixes, start = self.folders_only, self.suffixes, self.start

        def completed(found: Completion) -> None:
            if self._asked == asked:
                self._asked = None
            typed = (self.value[: self.cursor_position], self.value[self.cursor_position :])
            if typed != asked or not self.is_attached:
                return
            if found.text != before:
                # A slash that stands there already is not doubled.
                rest = after[1:] if found.text.endswith("/") and after.startswith("/") else after
                self.value = found.text + rest
                self.cursor_position = len(found.text)
            self.post_message(self.Completed(found.candidates, found.more))

        aside(lambda: complete(before, folders_only=folders_only, suffixes=suffixes, start=start), completed)

    def on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self._insert(event.text)

    def action_paste(self) -> None:
        self._insert(self.app.clipboard)

    def _insert(self, text: str) -> None:
        """Put in a pasted path. A whole one takes the place of what was there: that is how files are dropped."""
        path = clean(text)
        if os.path.isabs(path):
            self.value = path
            self.cursor_position = len(path)
        elif path:
            self.replace(path, *self.selection)
