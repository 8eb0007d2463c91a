"""What is pasted is text: escape sequences in it are dropped before anything reads them as keys.

A terminal brackets what is pasted, but some (tmux's paste-buffer, for one) let escape sequences in it through.
Textual's parser would take them for keys, in the middle of the text or as commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from textual._xterm_parser import XTermParser
from textual.message import Message

BEGIN, END = "\x1b[200~", "\x1b[201~"
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, the clipboard and the like, up to their end
    r"|\x1b[ -/]*[0-~]?"  # any other
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]"
)


class Bracketed:
    """Cleans a stream of terminal input, of which `feed` gets piece after piece."""

    def __init__(self) -> None:
        self._pasting = False
        self._pasted = ""  # so far; Textual too waits for the end of a paste
        self._passed = ""  # the last characters outside of a paste: half a BEGIN may be among them

    def feed(self, data: str) -> str:
        """`data` without what is not text in the pastes of it; a paste comes out when it has ended."""
        cleaned = ""
        while data:
            if self._pasting:
                self._pasted, data = self._pasted + data, ""
                following = self._pasted.find(BEGIN)
                # A text may hold END itself, to have its rest taken for keys: of several the last one counts.
                end = self._pasted.rfind(END, 0, following if following >= 0 else len(self._pasted))
                if end >= 0:
                    cleaned += _SEQUENCE.sub("", self._pasted[:end]) + END
                    data, self._pasted, self._pasting = self._pasted[end + len(END) :], "", False
            else:
                before = len(self._passed)
                found = (self._passed + data).find(BEGIN)
                upto = len(data) if found < 0 else found + len(BEGIN) - before
                cleaned += data[:upto]
                self._passed = "" if found >= 0 else (self._passed + data)[1 - len(BEGIN) :]
                self._pasting, data = found >= 0, data[upto:]
        return cleaned


class CleanParser(XTermParser):
    """Textual's parser behind `Bracketed`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bracketed = Bracketed()

    def feed(self, data: str) -> Iterable[Message]:
        cleaned = self._bracketed.feed(data) if data else data
        if cleaned or not data:  # "" would be the end of all input
            yield from super().feed(cleaned)


def clean_pastes() -> None:
    """For all drivers from now on."""
    from textual.drivers import linux_driver

    driver: Any = linux_driver  # which has no other place for it than its own import
    driver.XTermParser = CleanParser
