"""What a caption file that is not UTF-8 may say: its bytes, read as older programs have written them."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.plan.caption_edits import Change
from engine.plan.caption_files import caption_path, contents, digest_of
from engine.plan.captions import lines_of
from engine.plan.errors import UserError

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


def to_utf8(pictures: Iterable[Path], extension: str) -> dict[Change, Reading]:
    """For each picture's caption that is not UTF-8 and can be read in another way: the change that writes it so."""
    found: dict[Change, Reading] = {}
    for picture in pictures:
        try:
            lines_of(data := contents(caption_path(picture, extension)) or b"")
        except UserError:  # it cannot be read at all
            continue
        except UnicodeDecodeError:
            for one in readings(data):
                found[Change(picture, None, one.text, seen=digest_of(data))] = one
    return found
