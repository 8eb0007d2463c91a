"""Keeps `engine.log` small, and the engine's sign of life.

The launcher opens the log with O_APPEND for the engine's stdout and stderr, so whatever speaks there (torch, a driver,
a crash) ends up in it. Because every descriptor appends, the file can be cut from within while it is being written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from pathlib import Path

from engine.plan.errors import UserError
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.shortage import Shortage

LOG_LIMIT_BYTES = 4 * 1024 * 1024
LOG_KEPT_BYTES = 1024 * 1024  # about 10,000 lines: enough to see what led to an end
HEARTBEAT_SECONDS = 5.0
ENDED_AT_ONCE = "Interrupted twice: ended at once, without saving."
"""The last line of an engine that somebody did not want to wait for."""


def trim(path: Path, limit: int = LOG_LIMIT_BYTES, kept: int = LOG_KEPT_BYTES) -> bool:
    """Cut the log to its last `kept` bytes once it is larger than `limit`; True if it was cut.

    What is written in the very moment of cutting may be lost; nothing else can be.
    """
    try:
        if path.is_symlink() or path.stat().st_size <= limit:
            return False
        with path.open("r+b", buffering=0) as file:
            file.seek(-kept, os.SEEK_END)
            end = file.read()
            end = end[end.find(b"\n") + 1 :]
            file.truncate(0)
        with path.open("ab", buffering=0) as file:
            file.write(b"[earlier lines were removed to keep this file small]\n" + end)
    except OSError:
        return False  # a log is not worth stopping a training for
    return True


def last_lines(path: Path, count: int = 1) -> list[str]:
    """The last `count` lines of the log that are not blank; empty if there are none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-count:]


def memory_facts(run: RunFolder) -> dict[str, int]:
    """What a heartbeat tells, in bytes: memory of this process and of the machine, and room on the run's disk.

    Takes some 0.2 ms. What this system does not tell is left out.
    """
    import resource

    import psutil

    facts: dict[str, int] = {}
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        facts["rss_bytes"] = int(psutil.Process().memory_info().rss)
        unit = 1 if sys.platform == "darwin" else 1024
        facts["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        memory = psutil.virtual_memory()
        facts["ram_used_bytes"] = int(memory.total - memory.available)
        facts["ram_total_bytes"] = int(memory.total)
    with contextlib.suppress(OSError):
        facts["disk_free_bytes"] = shutil.disk_usage(run.path).free
    return facts


class Heart:
    """A thread of the engine that writes a `heartbeat` event every 5 s, keeps the log within its size, and warns of
    memory or disk that run out (`shortage`)."""

    def __init__(
        self,
        run: RunFolder,
        events: EventWriter,
        seconds: float = HEARTBEAT_SECONDS,
        shortage: Shortage | None = None,
    ) -> None:
        self._run, self._events, self._seconds = run, events, seconds
        self._shortage = shortage or Shortage(run.path)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop beating. After this no heartbeat is written, so `end` can be the last word."""
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._seconds):
            with contextlib.suppress(UserError, OSError):  # a full disk is told by whoever has something to save
                facts = memory_facts(self._run)
                self._events.write("heartbeat", **facts)
                for code, message in self._shortage.news(facts):
                    self._events.write("warning", code=code, message=message, change=None)
            trim(self._run.log_path)
