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
    """The sentence in at most so many rows: long paths lose their middle first, so that the reason stays in sight; then
    what comes before the last words goes, since those say what to do."""
    for longest in (len(sentence), *WORD_CELLS):
        words = [word if len(word) <= longest else f"{word[:8]}…{word[9 - longest :]}" for word in sentence.split()]
        rows = _wrapped(words, width)
        if len(rows) <= MOST_ROWS:
            return rows or [""]
    said, do = _parts(words, width)
    while do and said:
        rows = _wrapped([*said[:-1], f"{said[-1]}…", *do], width)
        if len(rows) <= MOST_ROWS:
            return rows
        said.pop()
    return [*rows[: MOST_ROWS - 1], " ".join(rows[MOST_ROWS - 1 :])]  # `Lines` cuts it with "…"


def _wrapped(words: list[str], width: int) -> list[str]:
    return textwrap.wrap(" ".join(words), width, break_on_hyphens=False)  # a command is copied from here


def _parts(words: list[str], width: int) -> tuple[list[str], list[str]]:
    """What is so, as much of it as could be shown, and what to do: as many whole sentences at the end as leave half a
    row. None where the last one is too long for that."""
    begins = [place for place, word in enumerate(words, 1) if word.endswith((".", "?", "!")) and place < len(words)]
    begin = next((place for place in begins if len(" ".join(words[place:])) <= width + width // 2), len(words))
    said, do = words[:begin], words[begin:]
    while len(" ".join(said)) > MOST_ROWS * width and len(said) > 1:
        said.pop()
    return said, do


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
