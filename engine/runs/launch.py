"""Starts the engine so that it outlives everything: the terminal, the SSH connection, the program that started it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence

from engine.plan.errors import UserError
from engine.runs import on_end as ends
from engine.runs.detached import PYTHON_MODULE, start, without_terminal
from engine.runs.folder import RunFolder, full_disk
from engine.runs.lock import look
from engine.runs.log import last_lines, trim

ENGINE_COMMAND = (*PYTHON_MODULE, "engine")
ONLINE = ("download", "fetch-pictures")  # kinds of jobs; all others never ask for anything outside
START_SECONDS = 60.0  # python, psutil and the lock; torch comes after it. Slow network disks need most of this
POLL_SECONDS = 0.02
_OF_OTHER_LAUNCHERS = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def launch(
    run: RunFolder, command: Sequence[str] | None = None, wait_seconds: float = START_SECONDS, on_end: str = ""
) -> int:
    """Start `command RUN` (ENGINE_COMMAND by default) in a session of its own and return its pid.

    `on_end`: a shell command of the user's, to be run once when this engine's life has ended; see `engine.runs.on_end`.
    Returns once the engine holds the run's lock, so that a second launch is refused from then on and commands reach it.
    An engine that ends with an `end` event is returned like any other: who follows the run sees why.
    Raises UserError "run-busy", "engine-died" (with the last line of engine.log) or "engine-silent".
    """
    lock = look(run)
    if lock.status == "held":
        raise UserError("run-busy", f"Another engine (process {lock.pid}) is at work on the run {run.name}.", "")
    trim(run.log_path)
    said_before = ends.size_of(run.events_path)
    try:
        child = start(
            [*(command or ENGINE_COMMAND), str(run.path)],
            run.log_path,
            environment(os.environ, online=run.kind in ONLINE),
        )
    except OSError as error:
        raise UserError("cannot-launch", f"The engine cannot be started: {error.strerror}.", "") from error
    if on_end:
        try:
            ends.watch(run, child.pid, said_before, on_end)
        except (OSError, UserError):
            child.kill()  # a rented machine that nobody switches off is worse than a training that does not start
            raise
    _wait_for_first_word(run, child, lock.acquired, said_before, wait_seconds)
    return child.pid


def environment(own: Mapping[str, str], *, online: bool = False) -> dict[str, str]:
    """The engine's environment: ours without the terminal, offline unless `online`, able to find its code."""
    # Variables of accelerate's and torch's launchers would change precision, devices and the number of processes behind
    # the back of the settings.
    env = {
        name: value
        for name, value in without_terminal(own).items()
        if not name.startswith("ACCELERATE_") and name not in _OF_OTHER_LAUNCHERS
    }
    offline = {} if online else {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return (
        env
        | offline
        | {
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "TRANSFORMERS_VERBOSITY": "error",  # else it advises to install torchvision, in every log
            "TOKENIZERS_PARALLELISM": "false",  # else it warns whenever a worker is forked
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",  # the last lines before a crash are the ones that matter
            "PYTHONFAULTHANDLER": "1",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
        }
    )


def _wait_for_first_word(
    run: RunFolder, child: subprocess.Popen[bytes], acquired_before: float, said_before: int, wait_seconds: float
) -> None:
    """`acquired_before`, `said_before`: what the lock file told, and the size of the log, before it was started."""
    deadline = time.monotonic() + wait_seconds
    while True:
        gone = child.poll() is not None  # asked before looking, so that a word it left behind is found
        lock = look(run)
        said_who = lock.host != "" and lock.acquired != acquired_before
        if said_who and lock.pid == child.pid:  # it held it, whether or not it still does
            return
        if gone:
            if lock.status == "held":
                raise UserError("run-busy", f"Another engine (process {lock.pid}) has taken the run {run.name}.", "")
            if ends.how_it_ended(run, child.pid, said_before)[0] != "died":
                return
            if run.disk_full:
                raise full_disk(run)
            last = " ".join(last_lines(run.log_path)) or "It said nothing."
            raise UserError("engine-died", f"The engine ended at once: {last}", f"More is in {run.log_path}.")
        if time.monotonic() > deadline:
            raise UserError(
                "engine-silent",
                f"The engine (process {child.pid}) has not said a word for {wait_seconds:.0f} s.",
                f"See {run.log_path}.",
            )
        time.sleep(POLL_SECONDS)
