"""Commands for a running engine: small files in the run's `control/`, so that they work from any terminal and any day.

`send` is the watchers' side, `Inbox` the engine's. The answer is a `command` event in the log.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.plan.errors import UserError, inert
from engine.plan.files import atomic_write
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.lock import held_here, look, process_started

COMMAND_VERSION = 1
COMMANDS = ("pause", "resume", "stop", "stop-after-epoch", "checkpoint", "sample")
LARGEST_COMMAND_BYTES = 64 * 1024  # a prompt is a few hundred bytes; anything larger was not written by us

_tie_breaker = itertools.count()  # two commands of one process within a clock tick still get two names, in order


@dataclass(frozen=True)
class Command:
    """What someone asks of the engine; `arguments` are the other fields of the file, e.g. prompt and seed."""

    id: str
    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def send(run: RunFolder, command: str, **arguments: object) -> str:
    """Leave a command for the engine of `run` and return its id, under which the `command` event will answer.

    Raises ValueError for a command that does not exist, UserError when the disk is full.
    """
    if command not in COMMANDS:
        raise ValueError(f"no such command: {command}")
    run.control_dir.mkdir(exist_ok=True)
    name = f"{time.time_ns() + next(_tie_breaker)}-{os.getpid()}"
    body = {"v": COMMAND_VERSION, "id": name, "command": command, **arguments}
    atomic_write(run.control_dir / f"{name}.json", json.dumps(body))
    return name


class Inbox:
    """The engine's side. `poll` between steps (a look into an empty folder takes some 20 microseconds)."""

    def __init__(self, run: RunFolder, events: EventWriter, since_ns: int | None = None) -> None:
        """`since_ns`: commands that are here already and older than this are answered "ignored"; by default the moment
        the lock was taken. What comes later is new whatever its name says: clocks jump."""
        lock = held_here(run)
        self._folder = run.control_dir
        self._events = events
        since_ns = since_ns if since_ns is not None else lock.acquired_ns if lock else time.time_ns()
        self._old = {name for name in self._names() if (_stamp(name) or since_ns) < since_ns}
        self._open: dict[str, Path] = {}  # handed over and not yet answered, or there for good

    def poll(self) -> list[Command]:
        """New commands, oldest first. Each must be answered once, which removes its file."""
        found = []
        for name in self._names():
            path = self._folder / name
            if path.stem in self._open or name.startswith("."):
                continue  # waiting for its answer, or still being written
            command = self._take(path)
            if command is not None:
                found.append(command)
        return found

    def _names(self) -> list[str]:
        """Files that may be commands, oldest first."""
        try:
            return sorted(name for name in os.listdir(self._folder) if name.endswith(".json"))
        except OSError:  # gone, or no folder at all: then there are none
            return []

    def answer(self, command: Command, result: str, message: str = "") -> None:
        """Write the `command` event (`result`: "done", "ignored" or "refused") and remove the command's file."""
        self._events.write("command", id=command.id, command=command.command, result=result, message=message)
        path = self._open.get(command.id)
        try:
            if path is not None:
                path.unlink(missing_ok=True)
        except OSError:  # a folder, or a disk that turned read-only: it stays, and is not looked at again
            return
        self._open.pop(command.id, None)

    def _take(self, path: Path) -> Command | None:
        """The command in `path`, or None once it has been answered here because it is not for the engine to obey."""
        self._open[path.stem] = path
        try:
            body = json.loads(_content(path))
            name = body.pop("command")
            if body.pop("v") != COMMAND_VERSION or name not in COMMANDS or _stamp(path.name) is None:
                raise ValueError
        except FileNotFoundError:
            del self._open[path.stem]
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unreadable = Command(path.stem, "")
            self.answer(unreadable, "refused", f"{inert(path.name)} is not a command that this engine knows.")
            return None
        body.pop("id", None)
        command = Command(path.stem, name, body)
        if path.name in self._old:
            self.answer(command, "ignored", "It was given before this engine started.")
            return None
        return command


def _content(path: Path) -> bytes:
    """The beginning of a plain file. Raises OSError for anything else: opening a pipe would wait for its writer, and a
    link might lead anywhere."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
        return os.read(fd, LARGEST_COMMAND_BYTES + 1)
    finally:
        os.close(fd)


def _stamp(name: str) -> int | None:
    """When a command was given, in nanoseconds of its sender's clock; None for a name that no sender of ours gives."""
    stamp = name.split("-", maxsplit=1)[0]
    return int(stamp) if stamp.isdecimal() and len(stamp) < 30 else None


def interrupt(run: RunFolder, signum: int = signal.SIGINT) -> None:
    """Send a signal to the run's engine, and to no other process that may have got its number.

    The pid must hold the lock and have begun when the lock file says. Raises UserError "no-engine" otherwise.
    """
    lock = look(run)
    same = lock.status == "held" and not lock.elsewhere and lock.pid > 0
    # Start times come from clock ticks of 10 ms; half a second leaves room, and no pid is used again that fast.
    if not same or abs(process_started(lock.pid) - lock.process_started) > 0.5:
        raise UserError("no-engine", f"No engine is at work on the run {run.name} on this machine.", "")
    os.kill(lock.pid, signum)
