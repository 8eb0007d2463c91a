"""A conversation with the prompts: answers given one after the other, everything that was said written down."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path

from lora_tui.prompts.talk import LeaveError, Talk
from lora_tui.prompts.walk import Walk

Answer = str | bytes | Callable[[], str]
UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Answers(io.BytesIO):
    """Gives one answer a line; an answer that is a function is asked at its turn."""

    def __init__(self, answers: list[Answer], said: io.StringIO) -> None:
        super().__init__()
        self.left, self._said = list(answers), said

    def readline(self, size: int | None = -1, /) -> bytes:
        if not self.left:
            return b""
        answer = self.left.pop(0)
        given = answer() if callable(answer) else answer
        line = given if isinstance(given, bytes) else given.encode("utf-8", "surrogateescape")
        self._said.write(f"<<{line!r}>>\n")
        return line + b"\n"


def talk(*answers: Answer) -> tuple[Talk, io.StringIO]:
    said = io.StringIO()
    return Talk(Answers(list(answers), said), said), said


def converse(project: Path, *answers: Answer) -> str:
    """Walk through a project until the answers are over; all that was said. Fails where a control letter was."""
    given, said = talk(*answers)
    walk = Walk(project, given)
    with contextlib.suppress(LeaveError):
        walk.run()
    text = said.getvalue()
    assert not UNPRINTABLE.search(text)
    return text
