"""Starts the other processes of a training and looks after them: none outlives the engine, and none ends unnoticed."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.context import JobContext
from engine.plan.errors import UserError, inert
from engine.runs.detached import PYTHON_MODULE
from engine.runs.folder import RunFolder
from engine.train.processes import ALONE, Processes, ProcessLost, meet, part

MODULE = "engine.train.companion"
OUT_OF_MEMORY = 12
"""A companion's exit code when its GPU's memory did not suffice."""
NOTICE_SECONDS = 5.0
"""A lost connection is noticed a little before the process has ended."""
STUCK_SECONDS = 60.0
"""For the engine to notice by itself. On GPUs it may wait for ever for figures of one that is gone."""
END_SECONDS = 20.0


@dataclass
class Companion:
    number: int
    process: subprocess.Popen[bytes]

    @property
    def how(self) -> str | None:
        """How it ended; None while it is at work or after it came to its end."""
        code = self.process.poll()
        if not code:
            return None
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return "out of GPU memory" if code == OUT_OF_MEMORY else f"exit code {code}"


@contextmanager
def together(context: JobContext, count: int, device: torch.device) -> Iterator[Processes]:
    """This process as the first of `count`, with the others started; they do the same job on the same run folder.

    Raises UserError "process-lost" or "out-of-memory" when one of them ends before its time.
    """
    if count == 1:
        yield ALONE
        return
    over = threading.Event()
    rendezvous = context.run.path / f".rendezvous-{secrets.token_hex(4)}.tmp"  # nobody has used that one before
    companions = [
        Companion(number, _start(context.run, rendezvous, number, count, context.run.log_path))
        for number in range(1, count)
    ]
    try:
        for companion in companions:
            threading.Thread(target=_watch, args=(context, companion, count, over), daemon=True).start()
        yield meet(rendezvous, 0, count, device)
    except ProcessLost as error:
        raise _lost(context.run, companions, count) from error
    finally:
        over.set()
        _end(companions)
        if torch.distributed.is_initialized():
            part()
        rendezvous.unlink(missing_ok=True)  # of an engine that is killed, the next one removes it: leftovers.py


def _start(run: RunFolder, rendezvous: Path, number: int, count: int, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [*PYTHON_MODULE, MODULE, str(run.path), str(rendezvous), str(number), str(count)],
            stdin=subprocess.PIPE,  # closed when this process ends, however that is: the sign for the other to end too
            stdout=file,
            stderr=file,
        )


def _watch(context: JobContext, companion: Companion, count: int, over: threading.Event) -> None:
    """Ends the run where the engine itself does not notice that `companion` is gone."""
    companion.process.wait()
    if companion.how is None or over.wait(STUCK_SECONDS):
        return
    error = _error(context.run, companion, count)
    context.emit("end", status="failed", code=error.code, message=error.message, hint=error.hint, output=None)
    os._exit(1)


def _end(companions: list[Companion]) -> None:
    for companion in companions:
        assert companion.process.stdin is not None
        companion.process.stdin.close()
    for companion in companions:
        try:
            companion.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            companion.process.kill()
            companion.process.wait()


def _lost(run: RunFolder, companions: list[Companion], count: int) -> UserError:
    for companion in companions:
        try:
            companion.process.wait(NOTICE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        if companion.how is not None:
            return _error(run, companion, count)
    return UserError("process-lost", "The training's processes lost each other.", _hint(run))


def _error(run: RunFolder, companion: Companion, count: int) -> UserError:
    return UserError(
        "out-of-memory" if companion.process.returncode == OUT_OF_MEMORY else "process-lost",
        f"Process {companion.number + 1} of {count} ended in the middle of the training ({companion.how}), so the "
        "training stopped; everything up to its last step is saved.",
        _hint(run),
    )


def _hint(run: RunFolder) -> str:
    return f"Resume the run to go on; what the process said is in {inert(run.log_path)}."
