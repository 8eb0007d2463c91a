"""Private memory of another process over time, as Linux counts it."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

EVERY_SECONDS = 0.05


def anonymous_bytes(pid: int) -> int | None:
    """RssAnon: resident pages that are the process's own. Pages of mapped files, such as the checkpoint's, do not
    count: the system can drop them at any time. None once the process is gone.
    """
    try:
        found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


class MemoryWatch:
    """Looks every 50 ms in a thread of its own. `rows`: (Unix seconds, bytes)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.rows: list[tuple[float, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def peak(self, begin: float = 0.0, end: float = float("inf")) -> int:
        """The most between two moments, in bytes; 0 where nothing was seen."""
        return max((used for at, used in self.rows if begin <= at <= end), default=0)

    def _look(self) -> None:
        while not self._over.is_set() and (used := anonymous_bytes(self.pid)) is not None:
            self.rows.append((time.time(), used))
            self._over.wait(EVERY_SECONDS)
