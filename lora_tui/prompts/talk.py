"""Saying lines and asking for them. Only printable letters and line ends are ever written."""

from __future__ import annotations

import textwrap
import time
from typing import BinaryIO, TextIO

from engine.plan.errors import inert
from lora_tui.letters import in_ascii

LONGEST_LINE = 2_000  # characters of one line that is said
LONGEST_ANSWER = 100_000  # bytes; what is longer is no answer of a person's
TOLD_SECONDS = 3.0  # between two lines on how far something is


class LeaveError(Exception):
    """Somebody wants to go: they said so, or closed the input."""


class Talk:
    """A conversation over two streams. Works on a terminal, where the system edits the line, and on pipes."""

    def __init__(self, answers: BinaryIO, said: TextIO) -> None:
        self._answers, self._said = answers, said
        self._told = 0.0

    def say(self, text: object = "") -> None:
        """One line, or several where `text` has several of our own. What a terminal could obey is spelt out."""
        for part in str(text).split("\n"):
            self._said.write(in_ascii(inert(part, LONGEST_LINE)) + "\n")
        self._said.flush()

    def say_sometimes(self, text: str) -> None:
        """A line on how far something is, unless one was said a moment ago."""
        now = time.monotonic()
        if now - self._told >= TOLD_SECONDS:
            self._told = now
            self.say(text)

    def explain(self, text: str) -> None:
        """An explanation, in lines that a braille display can take."""
        self.say("\n".join(textwrap.wrap(text, 78)))

    def ask(self, question: str) -> str:
        """The answer without spaces around it. Bytes that are no UTF-8 come as Python has them in file names.

        Raises LeaveError at the end of the input, KeyboardInterrupt at Ctrl-C.
        """
        self._said.write(in_ascii(inert(question, LONGEST_LINE)) + " ")
        self._said.flush()
        line = self._answers.readline(LONGEST_ANSWER)
        if not line:
            self.say()
            raise LeaveError
        return line.decode("utf-8", "surrogateescape").strip().strip("\0")

    def sure(self, question: str) -> bool:
        """Whether somebody says yes; anything else is no."""
        return self.ask(f"{question} yes or no:").casefold() in ("y", "yes")


def number_in(text: str) -> int | None:
    """The number that an answer is; None where it is something else."""
    return int(text[:9]) if text.isascii() and text.isdecimal() else None
