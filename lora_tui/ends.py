"""How runs ended, by the last line of each log: cheap enough to be asked every second, however long the logs are."""

from __future__ import annotations

import os

from engine.runs.events import last_event
from engine.runs.fields import text
from engine.runs.folder import RunFolder


class Ends:
    """Remembers each run's end until its log grows."""

    def __init__(self) -> None:
        self._known: dict[RunFolder, tuple[tuple[int, int], str]] = {}  # with the log's size and time of change

    def status(self, run: RunFolder) -> str | None:
        """ "finished", "stopped" or "failed"; "" while there is no last word, None where nothing has begun."""
        try:
            about = os.stat(run.events_path)
        except OSError:
            return None
        stamp = about.st_size, about.st_mtime_ns
        before = self._known.get(run)
        if before is None or before[0] != stamp:
            last = last_event(run.events_path)
            status = text(last.get("status")) if last is not None and last["kind"] == "end" else ""
            before = self._known[run] = stamp, status
        return before[1]
