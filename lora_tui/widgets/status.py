"""The line that says how things stand and what to do: `ok`, `!` or `x`, and one sentence."""

from __future__ import annotations

import textwrap

from rich.style import Style

from engine.plan.errors import inert
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import MARKS, line

MOST_ROWS = 2


class Status(Lines):
    """One sentence, over two rows where it is long."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._said = ("ok", "")

    @property
    def said(self) -> tuple[str, str]:
        """The mark and the whole sentence."""
        return self._said

    def say(self, mark: str, sentence: str) -> None:
        """mark: "ok", "!" (something to know) or "x" (something is wrong)."""
        self._said = (mark, inert(sentence))  # whoever says it may have named a file
        self._lay_out()

    def on_resize(self) -> None:
        super().on_resize()
        self._lay_out()

    def _lay_out(self) -> None:
        mark, sentence = self._said
        width = self.app.size.width
        rows = textwrap.wrap(sentence, max(20, width - 6)) or [""]
        if len(rows) > MOST_ROWS:
            rows = [*rows[: MOST_ROWS - 1], " ".join(rows[MOST_ROWS - 1 :])]  # `Lines` cuts it with "…"
        style = MARKS[mark] + Style(bold=True)
        first = line((f" {mark:<3}", style), rows[0])
        self.show([first, *(line("    ", row) for row in rows[1:])])
