"""What a running job knows of the outside: where to report, what is asked of it, which folder is its own.

The parts of the engine that do the work get a `JobContext` and nothing else; they neither open the run's files nor look
for commands themselves.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

from engine.plan.settings import sha256
from engine.runs.control import Command, Inbox
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.job import Job
from engine.runs.log import ENDED_AT_ONCE
from engine.runs.shortage import Shortage

PROGRESS_SECONDS = 0.25
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors", "prodigyopt")


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """Raised at the next safe place after a stop was asked for."""


def listen_to_signals() -> threading.Event:
    """SIGTERM and SIGINT set the event that is returned; a second SIGINT ends the process at once, and SIGHUP (a closed
    terminal) means nothing."""
    stop = threading.Event()

    def interrupted(*_: object) -> None:
        if stop.is_set():
            with suppress(OSError):
                os.write(2, f"{ENDED_AT_ONCE}\n".encode())  # into engine.log; there is no time for more
            os._exit(130)
        stop.set()

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, interrupted)
    return stop


class JobContext:
    """Events out, commands in. One for the life of the engine process.

    `takes_commands` is set by a job that obeys more than `stop`. `continues`: an engine before this one worked on the
    run. `stop`: set from outside, by a signal. `shortage`: what is watched to be left of memory and disk.
    """

    def __init__(self, run: RunFolder, job: Job, events: EventWriter, stop: threading.Event | None = None) -> None:
        self.run, self.job = run, job
        self.takes_commands = False
        self.continues = events.seq > 0
        self.shortage = Shortage(run.path)
        self._events = events
        self._inbox = Inbox(run, events)
        self._stop = stop or threading.Event()
        self._stops: list[Command] = []  # answered when everything is saved
        self._waiting: deque[Command] = deque()  # for the job to obey at its next safe place

    def emit(self, kind: str, **fields: Any) -> None:
        self._events.write(kind, **fields)

    def announce(self, device: str, total_steps: int | None = None, total_epochs: int | None = None) -> None:
        """The `job` event: what is done, with what, where."""
        settings = self.job.settings
        self.emit(
            "job",
            job=self.job.kind,
            versions={"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
            device=device,
            settings_sha256=sha256(settings) if settings is not None else None,
            total_steps=total_steps,
            total_epochs=total_epochs,
            pid=os.getpid(),
        )

    def warn(self, code: str, message: str, change: dict[str, Any] | None = None) -> None:
        """A `warning` event: something the user should know, and what was changed because of it."""
        self.emit("warning", code=code, message=message, change=change)

    # ------------------------------------------------------------------------------------------------ commands
    def next_command(self) -> Command | None:
        """The oldest thing that is asked for besides stopping, as far as `stop_requested` has seen it; whoever takes it
        answers it. One at a time: a pause must find those that came after it."""
        return self._waiting.popleft() if self._waiting else None

    def answer(self, command: Command, result: str, message: str = "") -> None:
        """`result`: "done", "ignored" or "refused"; `message` is for the person who asked."""
        self._inbox.answer(command, result, message)

    def stop_requested(self) -> bool:
        """Whether to stop at the next safe place; looks for commands as well."""
        self._look()
        return self._stop.is_set()

    @property
    def stopping(self) -> bool:
        """As `stop_requested`, without looking for news: one look between two steps is enough."""
        return self._stop.is_set()

    def raise_if_stopped(self) -> None:
        if self.stop_requested():
            raise Stopped

    def answer_all(self, stopped_message: str) -> None:
        """The last word on every command, once the job is over: to those who asked to stop what came of it."""
        self._look()
        for command in self._stops:
            self._inbox.answer(command, "done", stopped_message)
        for command in self._waiting:
            self._inbox.answer(command, "ignored", "The run was over before it could be obeyed.")
        self._stops.clear()
        self._waiting.clear()

    def _look(self) -> None:
        for command in self._inbox.poll():
            if command.command == "stop":
                self._stop.set()
                self._stops.append(command)
            elif self.takes_commands:
                self._waiting.append(command)
            else:
                message = f"A job of the kind {self.job.kind} cannot {command.command}; it can be stopped."
                self._inbox.answer(command, "refused", message)

    # ------------------------------------------------------------------------------------------------ progress
    @contextmanager
    def phase(
        self, name: str, total: int | None = None, unit: str = "", done: int = 0, *, whole: bool = False
    ) -> Iterator[Progress]:
        """Report a piece of work: its start, its progress a few times a second, its end. `done`: what was so before.
        `whole`: a request to stop waits for its end."""
        progress = Progress(self, name, total, unit, whole)
        progress.done = done
        progress.report("start")
        try:
            yield progress
        finally:  # a phase that failed is over as well: the training goes on after samples that could not be made
            progress.report("end")


class Progress:
    """How far a phase is. Calling it with what is done (and the total, where that is only known now) reports it now and
    then, and is also where a request to stop interrupts the work. `unit`: what is counted, in words."""

    def __init__(self, context: JobContext, name: str, total: int | None, unit: str, whole: bool = False) -> None:
        self.done, self.total = 0, total
        self.unit = unit
        self._context, self._name, self._whole = context, name, whole
        self._reported = 0.0

    def __call__(self, done: int, total: int | None = None) -> None:
        self.done = done
        self.total = total if total is not None else self.total
        if time.monotonic() - self._reported >= PROGRESS_SECONDS:
            self._reported = time.monotonic()
            self.report("progress")
            if not self._whole:
                self._context.raise_if_stopped()

    def report(self, state: str) -> None:
        self._context.emit("phase", name=self._name, state=state, done=self.done, total=self.total, unit=self.unit)
