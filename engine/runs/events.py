"""The log of a run, `events.jsonl`: one writer, any number of readers that poll. docs/events.md is its manual.

Nothing here knows what an event means; that is `fold`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.plan.files import disk_errors

EVENT_VERSION = 1
READ_BYTES = 256 * 1024  # one read; about 2,000 step events, parsed in some 25 ms
SLICE_EVENTS = 1000  # what a reader hands over at once, so that a screen can paint in between
LONGEST_LINE_BYTES = 1024 * 1024  # nothing we write comes near; a longer line is damage and is skipped
POLL_SECONDS = 0.1  # measured: 50-76 ms median delay at 0.4 % of a core, better than inotify

Event = dict[str, Any]


class EventWriter:
    """Appends events to `path`; the engine has exactly one. Every method may be called from any thread.

    A line is one `os.write` on a descriptor opened with O_APPEND, so a reader never sees two lines mixed. A line that a
    dead engine left unfinished is ended first, and `seq` goes on from the last whole line.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._mutex = threading.Lock()
        self._not_finite: set[str] = set()
        self._seq, self._torn = _end_of(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, kind: str, /, **fields: object) -> int:
        """Append one event and return its `seq`.

        Paths inside the run folder become relative to it. NaN and infinity become null, and a `warning` event follows
        the first time a field is not finite (and again after it has recovered).
        Raises UserError "disk-full" when the disk takes no more.
        """
        not_finite: set[str] = set()
        body = {name: _plain(value, name, self.path.parent, not_finite) for name, value in fields.items()}
        with self._mutex:
            seq = self._append(kind, body)
            news = not_finite - self._not_finite
            # Only fields that this event carries can recover; the others keep what they were.
            self._not_finite = {f for f in self._not_finite if f.split(".")[0] not in fields} | not_finite
            if news:
                where = f" at step {body['step']}" if isinstance(body.get("step"), int) else ""
                message = f"{', '.join(sorted(news))} of the event '{kind}' is not a finite number{where}."
                self._append("warning", {"code": "not-finite", "message": message, "change": None})
        return seq

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._mutex:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _append(self, kind: str, body: dict[str, object]) -> int:
        event = {"v": EVENT_VERSION, "seq": self._seq + 1, "time": round(self._clock(), 3), "kind": kind, **body}
        text = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # A file name that is not UTF-8 reaches us with lone surrogates; backslashreplace writes them as \udcXX, which
        # is just how JSON spells them.
        line = b"\n" * self._torn + text.encode("utf-8", "backslashreplace") + b"\n"
        with disk_errors(self.path):
            self._torn = os.write(self._fd, line) < len(line)
            if self._torn:  # only a full disk writes less than asked
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._seq += 1
        return self._seq


def _end_of(path: Path) -> tuple[int, bool]:
    """(last `seq` in the file, whether its last line was left unfinished)."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LONGEST_LINE_BYTES))
            tail = file.read()
    except FileNotFoundError:
        return 0, False
    seqs = (event["seq"] for event in map(parse, reversed(tail.split(b"\n"))) if event is not None)
    return next((seq for seq in seqs if isinstance(seq, int)), 0), bool(tail) and not tail.endswith(b"\n")


def _plain(value: object, name: str, folder: Path, not_finite: set[str]) -> object:
    """`value` as JSON can hold it; names of numbers that are not finite are added to `not_finite`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return value.relative_to(folder).as_posix() if value.is_relative_to(folder) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item, f"{name}.{key}", folder, not_finite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name, folder, not_finite) for item in value]
    if hasattr(value, "__float__"):  # floats, and the scalars of libraries that this module does not import
        number = float(value)
        if math.isfinite(number):
            return number
        not_finite.add(name)
        return None
    return str(value)


def parse(line: bytes) -> Event | None:
    """The event in `line`; None for a line that is torn, damaged or not an event."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str) or "seq" not in event:
        return None
    return event


class EventReader:
    """Reads a growing events file from its beginning, a slice at a time, without ever blocking.

    The file is opened anew for each slice: it may not exist yet, and nothing stays open in a long-lived app.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped = 0  # whole lines that were not events
        self._offset = 0  # of the first byte not yet read
        self._rest = b""  # an unfinished last line
        self._ready: list[Event] = []
        self._overlong = False  # inside a line that is longer than any event

    def read(self, limit: int = SLICE_EVENTS) -> list[Event]:
        """At most `limit` events that were not handed over before; empty when there is nothing new.

        An unfinished last line is left for the next call.
        """
        while len(self._ready) < limit and self._read_more():
            pass
        events, self._ready = self._ready[:limit], self._ready[limit:]
        return events

    def _read_more(self) -> bool:
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self._offset)
                data = file.read(READ_BYTES)
        except FileNotFoundError:
            return False
        if not data:
            return False
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            event = None if self._overlong else parse(line)
            self._overlong = False
            if event is not None:
                self._ready.append(event)
            elif line:
                self.skipped += 1
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._rest, self._overlong = b"", True
        return True


def read_all(path: Path) -> Iterator[Event]:
    """Every event that is in the file now, read in slices."""
    reader = EventReader(path)
    while events := reader.read():
        yield from events


def tail(path: Path, until: Callable[[], bool], poll_seconds: float = POLL_SECONDS) -> Iterator[list[Event]]:
    """Slices of events as they are written, until `until()` is true and the file has been read to its end."""
    reader = EventReader(path)
    while True:
        last = until()  # asked before reading, so that what was written before it became true is still read
        while events := reader.read():
            yield events
        if last:
            return
        time.sleep(poll_seconds)
