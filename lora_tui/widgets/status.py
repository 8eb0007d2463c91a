"""The line that says how things stand and what to do: `ok`, `!` or `x`, and one sentence."""

from __future__ import annotations

import textwrap

from rich.style import Style

from engine.plan.errors import inert
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import MARKS, line

MOST_ROWS = 2
WORD_CELLS = (60, 40, 24)  # what is left of a longer word, where the sentence would not fit else


def _rows(sentence: str, width: int) -> list[str]:
    """The sentence in at most so many rows: long paths lose their middle first, so that the reason stays in sight."""
    for longest in (len(sentence), *WORD_CELLS):
        words = (word if len(word) <= longest else f"{word[:8]}…{word[9 - longest :]}" for word in sentence.split())
        rows = textwrap.wrap(" ".join(words), width, break_on_hyphens=False)  # a command is copied from here
        if len(rows) <= MOST_ROWS:
            return rows or [""]
    return [*rows[: MOST_ROWS - 1], " ".join(rows[MOST_ROWS - 1 :])]  # `Lines` cuts it with "…"


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
        self._lay_out()

    def _lay_out(self) -> None:
        mark, sentence = self._said
        width = self.app.size.width
        rows = _rows(sentence, max(20, width - 6))
        style = MARKS[mark] + Style(bold=True)
        first = line((f" {mark:<3}", style), rows[0])
        self.show([first, *(line("    ", row) for row in rows[1:])])
