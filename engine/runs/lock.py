"""The lock of a run folder: one engine at a time, and anyone can ask who it is.

A POSIX record lock (`fcntl.lockf`): it goes when its process goes, however that dies; forked workers do not keep it, as
they would a `flock`; and `F_GETLK` names the holder without touching it. Two traps come with it, and both are kept shut
here: closing *any* descriptor of the file in the holding process frees the lock, so the engine opens the file once and
`look` never opens a file that this process has locked; and the file is never unlinked, or two engines could each lock
"the" file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.plan.errors import UserError
from engine.plan.files import disk_errors, open_no_link
from engine.runs.fields import integer, number

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder

LockStatus = Literal["never", "free", "held", "unreadable"]


@dataclass(frozen=True)
class LockInfo:
    """What the lock file says. The fields after `status` are those of the last engine that held it.

    `process_started` and `acquired` are Unix seconds. `elsewhere` is True when that engine ran on another machine.
    """

    status: LockStatus
    pid: int = 0
    host: str = ""
    boot_id: str = ""
    process_started: float = 0.0
    acquired: float = 0.0
    elsewhere: bool = False


class RunLock:
    """A held lock. The engine takes it before anything else and keeps it for its life."""

    def __init__(self, path: Path, fd: int, acquired_ns: int) -> None:
        self.path = path
        self.acquired_ns = acquired_ns  # wall clock: commands older than this were meant for an engine before us
        self._fd = fd

    @classmethod
    def acquire(cls, run: RunFolder, acquired_ns: int | None = None) -> RunLock:
        """Take the lock or raise UserError "run-busy" naming the holder; "no-locks" where the disk has none.

        `acquired_ns`: the moment to write down, in Unix nanoseconds, where it is not now (recorded runs).
        """
        path = _path(run)
        if path in _held:
            raise _busy(run, os.getpid())
        fd = open_no_link(path, os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise _busy(run, _holder(fd) or 0) from error
                raise UserError(
                    "no-locks",
                    f"The disk of {run.path} has no file locks ({error.strerror}).",
                    "Put the project on a local disk.",
                ) from error
            os.ftruncate(fd, 0)  # at once: what is there describes another engine, and names another moment
            lock = cls(path, fd, time.time_ns() if acquired_ns is None else acquired_ns)
            _describe(fd, path, lock.acquired_ns)
        except BaseException:
            os.close(fd)
            raise
        _held[path] = lock
        return lock

    def release(self) -> None:
        """Let go before the process ends (tests, and an engine that runs several jobs). The file stays."""
        if self._fd >= 0:
            _held.pop(self.path, None)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


_held: dict[Path, RunLock] = {}  # locks of this process, by resolved path


def _path(run: RunFolder) -> Path:
    """Of the lock file, by one name whatever the run folder was called; the file itself may be no link."""
    return run.path.resolve() / run.lock_path.name


def held_here(run: RunFolder) -> RunLock | None:
    """The lock of this run if this very process holds it."""
    return _held.get(_path(run))


def look(run: RunFolder) -> LockInfo:
    """Who holds the run's lock, without disturbing it. Never raises."""
    try:
        path = _path(run)
        if (own := _held.get(path)) is not None:
            return LockInfo("held", os.getpid(), socket.gethostname(), boot_id(), 0.0, round(own.acquired_ns / 1e9, 3))
        fd = open_no_link(path, os.O_RDONLY | os.O_NONBLOCK)  # it may be a FIFO, for whose writer one would wait
    except FileNotFoundError:
        return LockInfo("never")
    except (OSError, UserError):
        return LockInfo("unreadable")
    try:
        holder = _holder(fd)
        text = os.pread(fd, 4096, 0)
        emptied = os.fstat(fd).st_mtime
    except OSError:
        return LockInfo("unreadable")
    finally:
        os.close(fd)
    return _info(holder, text, emptied)


def _info(holder: int | None, text: bytes, emptied: float) -> LockInfo:
    """`emptied`: when the file was last changed, in Unix seconds."""
    said: object = None
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(text)
    if not isinstance(said, dict):
        # Held and not yet described: the engine is between the two calls. Free and not described: nobody got that far.
        if holder is not None:
            return LockInfo("held", holder, acquired=round(emptied, 3))
        return LockInfo("free" if text else "never")
    host = str(said.get("host", ""))
    return LockInfo(
        # Through a pid namespace or a network disk the kernel names 0 or a foreign number; the file knows better.
        status="free" if holder is None else "held",
        pid=integer(said.get("pid")) if not holder or holder < 0 else holder,
        host=host,
        boot_id=str(said.get("boot_id", "")),
        process_started=number(said.get("process_started")) or 0.0,
        acquired=number(said.get("acquired")) or 0.0,
        elsewhere=host != socket.gethostname(),
    )


def _describe(fd: int, path: Path, acquired_ns: int) -> None:
    """Write who we are into the locked file, through the descriptor that holds the lock."""
    about = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "process_started": process_started(os.getpid()),
        "acquired": round(acquired_ns / 1e9, 3),  # as the times of events, with which it is compared
    }
    with disk_errors(path):
        os.pwrite(fd, json.dumps(about).encode() + b"\n", 0)


def boot_id() -> str:
    """A text that changes with every boot of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # macOS
        import psutil

        return str(int(psutil.boot_time()))


def process_started(pid: int) -> float:
    """When the process began, in Unix seconds; 0.0 if there is none. With the pid it names a process for good."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


# struct flock. Linux (64 bit): l_type, l_whence, l_start, l_len, l_pid. macOS: l_start, l_len, l_pid, l_type, l_whence.
_FLOCK = struct.Struct("@qqihh" if sys.platform == "darwin" else "@hhqqi4x")


def _holder(fd: int) -> int | None:
    """The pid that keeps us from a write lock on `fd`; None if nobody does. Our own locks do not count."""
    lock_type, whence = fcntl.F_WRLCK, os.SEEK_SET
    if sys.platform == "darwin":
        asked = _FLOCK.pack(0, 0, 0, lock_type, whence)
        _, _, pid, found, _ = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    else:
        asked = _FLOCK.pack(lock_type, whence, 0, 0, 0)
        found, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if found == fcntl.F_UNLCK else int(pid)


def _busy(run: RunFolder, pid: int) -> UserError:
    who = f" (process {pid})" if pid > 0 else ""
    return UserError(
        "run-busy",
        f"Another engine{who} is at work on the run {run.name}.",
        "Stop it first, or start a new run.",
    )
