"""The log of a run, `events.jsonl`: one writer, any number of readers that poll. docs/events.md is its manual.

Nothing here knows what an event means; that is `fold`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.plan.files import disk_errors, open_no_link

EVENT_VERSION = 1
READ_BYTES = 256 * 1024  # one read; about 2,000 step events, parsed in some 25 ms
SLICE_EVENTS = 1000  # what a reader hands over at once, so that a screen can paint in between
LONGEST_LINE_BYTES = 1024 * 1024  # nothing we write comes near; a longer line is damage and is skipped
TAIL_BYTES = 64 * 1024  # in which the last event stands
HEAD_BYTES = 64  # version, sequence and time of the first event: enough to tell two files apart
POLL_SECONDS = 0.1  # measured: 50-76 ms median delay at 0.4 % of a core, better than inotify

_GPU = b'"kind":"gpu"'
_KIND_ENDS = 80  # bytes into a line, as we write it

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
        self._fd = open_no_link(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

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

    @property
    def seq(self) -> int:
        """That of the last event in the file; 0 in a new one."""
        return self._seq

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
        event = json.loads(line.strip(b"\0"))  # a power cut may leave zeros before the first line written after it
    except (ValueError, RecursionError):
        return None
    return event if _is_event(event) else None


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("kind"), str) and "seq" in value


def _parse_together(lines: list[bytes]) -> list[Event | None]:
    """`parse` of each line: all in one call, which takes a third of the time, unless one of them is damaged."""
    try:
        events = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        events = []
    if len(events) != len(lines):
        return [parse(line) for line in lines]
    return [event if _is_event(event) else None for event in events]


def last_event(path: Path) -> Event | None:
    """The newest whole event, from the end of the file alone; None where there is none. Never waits, never raises."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # as EventReader: it may be a FIFO
        try:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                return None
            tail = os.pread(fd, TAIL_BYTES, max(0, about.st_size - TAIL_BYTES))
        finally:
            os.close(fd)
    except OSError:
        return None
    return next((event for event in map(parse, reversed(tail.split(b"\n"))) if event is not None), None)


class EventReader:
    """Reads a growing events file from its beginning, a slice at a time, without ever blocking or raising.

    The file is opened anew for each slice: it may not exist yet, and nothing stays open in a long-lived app. What
    cannot be read now (no permission, a folder in its place) is as if nothing were new.
    """

    def __init__(self, path: Path, newest_gpu: bool = False) -> None:
        """`newest_gpu`: of the `gpu` events in one read (they are a third of a log) only the last is wanted."""
        self.path = path
        self._newest_gpu = newest_gpu
        self.skipped = 0  # whole lines that were not events
        self.beginnings = 0  # how often it had to start over, because the file was cut or is another one
        self._offset = 0  # of the first byte not yet read
        self._rest = b""  # an unfinished last line
        self._ready: list[Event] = []
        self._overlong = False  # inside a line that is longer than any event
        self._file: tuple[int, int] | None = None  # device and inode
        self._head = b""  # its first bytes

    def read(self, limit: int = SLICE_EVENTS) -> list[Event]:
        """At most `limit` events that were not handed over before; empty when there is nothing new.

        An unfinished last line is left for the next call. After `beginnings` has risen they are those of the file from
        its beginning, and what was handed over before is void.
        """
        while len(self._ready) < limit and self._read_more():
            pass
        events, self._ready = self._ready[:limit], self._ready[limit:]
        return events

    def _read_more(self) -> bool:
        try:
            # O_NONBLOCK: nobody writes into a FIFO that lies in its place.
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                about = os.fstat(fd)
                if not stat.S_ISREG(about.st_mode):
                    return False
                self._notice(fd, about)
                data = os.pread(fd, READ_BYTES, self._offset) if about.st_size > self._offset else b""
            finally:
                os.close(fd)
        except OSError:
            return False
        if not data:
            return False
        if not self._offset:
            self._head = data[:HEAD_BYTES]
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._overlong and lines:
            del lines[0]
            self._overlong = False
            self.skipped += 1
        lines = [line for line in lines if line]
        if self._newest_gpu:
            newest = next((n for n in reversed(range(len(lines))) if _GPU in lines[n][:_KIND_ENDS]), 0)
            lines = [line for line in lines[:newest] if _GPU not in line[:_KIND_ENDS]] + lines[newest:]
        for event in _parse_together(lines):
            if event is not None:
                self._ready.append(event)
            else:
                self.skipped += 1
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._rest, self._overlong = b"", True
        return True

    def _notice(self, fd: int, about: os.stat_result) -> None:
        """Start over if the file is shorter than what was read of it, or another one lies in its place.

        Some network disks number their files anew now and then, so another number alone says nothing.
        """
        file = (about.st_dev, about.st_ino)
        other = file != self._file and os.pread(fd, len(self._head), 0) != self._head
        self._file = file
        if about.st_size < self._offset or other:
            self.beginnings += 1
            self._offset, self._rest, self._ready, self._overlong = 0, b"", [], False


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
