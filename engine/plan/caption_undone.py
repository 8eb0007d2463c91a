"""Which captions are as taking back changes has left them: nobody has written anything into these since."""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.plan import caption_log
from engine.plan.caption_entries import Entries
from engine.plan.captions import first_line
from engine.plan.errors import UserError


def left_by_undo(project_path: Path) -> dict[Path, str | None]:
    """The text that the last undo of each caption file gave it, None where it removed the file.

    Only of what can still be done again. Never raises: where the list cannot be read, nothing is known.
    """
    found: dict[Path, str | None] = {}
    if caption_log.stands(project_path) is None:
        return found
    with contextlib.suppress(UserError, OSError), caption_log.opened(project_path) as log:
        entries = Entries()
        for offset, line in log.lines(0):
            entries.read(offset, line)
        for entry in entries.undone:  # the last of them was taken back last
            with contextlib.suppress(ValueError):
                for one in entry.files(log.read(entry.offset, entry.length)):
                    found[project_path / one.path] = _text(one.before)
    return found


def _text(content: bytes | None) -> str | None:
    if content is None:
        return None
    with contextlib.suppress(UnicodeDecodeError):
        return first_line(content)
    return None
