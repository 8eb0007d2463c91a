"""The list of what was done to captions, `.lora-tui/undo.jsonl`: lines are only added, by one program at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import atomic_write, open_no_link
from engine.plan.writing import writing

OWN_FOLDER = ".lora-tui"
WAITED_SECONDS = 5.0
"""So long one program waits for another that is changing captions of the same project."""

_BETWEEN_LOOKS = 0.005
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})


def file_of(project_path: Path) -> Path:
    """Where the list stands."""
    return project_path / OWN_FOLDER / "undo.jsonl"


def stands(project_path: Path) -> tuple[tuple[int, int], int] | None:
    """(identity, size in bytes) of the list, without waiting for whoever writes it; None where there is none."""
    try:
        about = os.stat(file_of(project_path))
    except OSError:
        return None
    return (about.st_dev, about.st_ino), about.st_size


class Log:
    """The open list, which nobody else writes meanwhile."""

    def __init__(self, file: Path, handle: int) -> None:
        self._file, self._handle = file, handle

    @property
    def identity(self) -> tuple[int, int]:
        """Another one when the list was written anew."""
        about = os.fstat(self._handle)
        return about.st_dev, about.st_ino

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self._handle).st_size

    def append(self, record: Mapping[str, object], *, lasting: bool = False) -> int:
        """Add a line, whole or not at all; where it begins. lasting: it is on the disk when this returns.

        Raises UserError `disk-full`, `not-writable`.
        """
        data, start = (json.dumps(record) + "\n").encode(), self.size
        if start and os.pread(self._handle, 1, start - 1) != b"\n":
            data = b"\n" + data  # a full disk tore the last line
        with writing(self._file):
            try:
                while data:
                    data = data[os.write(self._handle, data) :]
                if lasting:
                    os.fsync(self._handle)
            except OSError:
                self.cut(start)
                raise
        return start

    def cut(self, size: int) -> None:
        """Take back the lines from there on."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, size)

    def read(self, offset: int, length: int) -> bytes:
        """A part of the list; less than asked for at its end."""
        parts = []
        while length > 0 and (part := os.pread(self._handle, min(length, 1 << 24), offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def lines(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Every line from `offset` on with its place; the last may lack its end."""
        with open(self._handle, "rb", closefd=False) as file:
            file.seek(offset)
            for line in file:
                yield offset, line
                offset += len(line)

    def replace(self, data: bytes) -> None:
        """Write the list anew. This one is of no more use afterwards. Raises UserError."""
        with writing(self._file):
            atomic_write(self._file, data)


@contextlib.contextmanager
def opened(project_path: Path) -> Iterator[Log]:
    """The list for one program alone, made where there is none.

    Raises UserError: `captions-busy` when another program had it for WAITED_SECONDS, `is-a-link`, `disk-full`,
    `not-writable`.
    """
    file = file_of(project_path)
    handle = _alone(file)
    try:
        yield Log(file, handle)
    finally:
        os.close(handle)


def _alone(file: Path) -> int:
    until = time.monotonic() + WAITED_SECONDS
    while True:
        with writing(file):
            file.parent.mkdir(exist_ok=True)
            handle = open_no_link(file, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            if _locked(handle) and _still_there(file, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if time.monotonic() > until:
            raise UserError(
                "captions-busy",
                "Another lora-tui is changing captions of this project at this moment.",
                "Try again when it has finished.",
            )
        time.sleep(_BETWEEN_LOOKS)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed when the file is closed, also by a kill
    except OSError as error:
        return error.errno in _NO_LOCKS  # some network disks know no locks; one program alone needs none
    return True


def _still_there(file: Path, handle: int) -> bool:
    """Whether the list was not written anew between opening and locking it."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(handle))
    except OSError:
        return False
