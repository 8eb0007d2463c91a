"""What a caption file that is not UTF-8 may say: its bytes, read as older programs have written them."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from engine.plan.captions import lines_of

_MARKED = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NAMES = {"utf-16": "UTF-16", "cp1252": "Windows-1252", "latin-1": "Latin-1"}


@dataclass(frozen=True)
class Reading:
    """One way to read it. encoding: its name for people; text: the first line with words; more: there are others."""

    encoding: str
    text: str
    more: bool


def readings(data: bytes) -> list[Reading]:
    """All ways that make text of these bytes, the likeliest first. Latin-1 only where Windows-1252, which has more
    signs and is else the same, does not know a byte."""
    marked = [encoding for mark, encoding in _MARKED.items() if data.startswith(mark)]
    found: list[Reading] = []
    for encoding in marked or ["cp1252", "latin-1"]:
        try:
            written = [line for line in lines_of(data.decode(encoding).encode()) if line]
        except UnicodeError:
            continue
        found.append(Reading(_NAMES[encoding], written[0] if written else "", len(written) > 1))
        break
    return found
