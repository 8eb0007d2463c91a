"""Saying lines and asking for them. Only printable letters and line ends are ever written."""

from __future__ import annotations

import textwrap
import time
from typing import BinaryIO, TextIO

from engine.plan.errors import inert
from lora_tui.letters import in_ascii

LONGEST_LINE = 5_000  # characters of one line that is said: a path may have 4,095
WIDEST = 78  # characters of a line of an explanation
LONGEST_ANSWER = 100_000  # bytes; what is longer is no answer of a person's
TOLD_SECONDS = 3.0  # between two lines on how far something is
BACK, LEAVE = "b", "q"
_HELD = "\ue000"  # a space that no line ends at; `inert` lets none of these through, so it is never part of a text


class LeaveError(Exception):
    """Somebody wants to go: they said so, or closed the input."""


class BackError(Exception):
    """Somebody would rather not answer, and goes back to where the question came from."""


class Talk:
    """A conversation over two streams. Works on a terminal, where the system edits the line, and on pipes."""

    def __init__(self, answers: BinaryIO, said: TextIO) -> None:
        self._answers, self._said = answers, said
        self._told = 0.0

    def say(self, text: object = "") -> None:
        """One line, however long: the terminal breaks it, and what is copied from there is whole.

        What a terminal could obey is spelt out, also a line end, which the name of a file may have.
        """
        self._said.write(in_ascii(inert(text, LONGEST_LINE)) + "\n")
        self._said.flush()

    def say_sometimes(self, text: str) -> None:
        """A line on how far something is, unless one was said a moment ago."""
        now = time.monotonic()
        if now - self._told >= TOLD_SECONDS:
            self._told = now
            self.say(text)

    def explain(self, text: str, *whole: str) -> None:
        """An explanation, in lines that a braille display can take.

        No word is broken. `whole`: what is not broken either, though it may have spaces, such as a path.
        """
        for piece in filter(None, whole):
            text = text.replace(piece, piece.replace(" ", _HELD))
        for part in textwrap.wrap(text, WIDEST, break_long_words=False, break_on_hyphens=False):
            self.say(part.replace(_HELD, " "))

    def ask(self, question: str, enter: str | None = "goes back") -> str:
        """The answer to a question, which says itself how to get away from it.

        enter: what Enter alone does; None for nothing. Raises BackError for `b`, and what `prompt` does.
        """
        ways = "Enter goes back, q leaves" if enter == "goes back" else "b goes back, q leaves"
        if enter not in (None, "goes back"):
            ways = f"Enter {enter}, {ways}"
        answer = self.prompt(f"{question}{' ' if question.endswith('?') else '; '}{ways}:")
        if answer.casefold() == BACK:
            raise BackError
        return answer

    def prompt(self, words: str) -> str:
        """What is typed at a prompt, without spaces around it. Bytes that are no UTF-8 come as Python has them in file
        names.

        Raises LeaveError for `q` and at the end of the input, KeyboardInterrupt at Ctrl-C. No name, caption or path
        that somebody means is a single q; and nothing is lost by leaving.
        """
        self._said.write(in_ascii(inert(words, LONGEST_LINE)) + " ")
        self._said.flush()
        line = self._answers.readline(LONGEST_ANSWER)
        if not line:
            self.say()
            raise LeaveError
        answer = line.decode("utf-8", "surrogateescape").strip().strip("\0")
        if answer.casefold() == LEAVE:
            raise LeaveError
        return answer

    def sure(self, question: str) -> bool:
        """Whether somebody says yes; anything else is no."""
        return self.ask(f"{question} yes or no").casefold() in ("y", "yes")


def number_in(text: str) -> int | None:
    """The number that an answer is; None where it is something else."""
    return int(text[:9]) if text.isascii() and text.isdecimal() else None
