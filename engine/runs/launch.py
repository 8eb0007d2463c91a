"""Starts the engine so that it outlives everything: the terminal, the SSH connection, the program that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import engine
from engine.plan.errors import UserError
from engine.plan.files import disk_errors
from engine.runs.events import read_all
from engine.runs.folder import RunFolder, full_disk
from engine.runs.lock import look
from engine.runs.log import last_lines, trim

# -P: the working folder is not searched for modules, so a stray engine.py or torch.py of the user's cannot be taken.
ENGINE_COMMAND = (sys.executable, "-P", "-m", "engine")
START_SECONDS = 60.0  # python, psutil and the lock; torch comes after it. Slow network disks need most of this
POLL_SECONDS = 0.02

# An ignored SIGHUP stays ignored through exec. Done by the shell because Python code between fork and exec is not safe
# in a program with threads, and the app has some.
_IGNORE_SIGHUP = ("/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
_OF_THE_TERMINAL = {"TERM", "COLORTERM", "COLUMNS", "LINES", "TMUX", "TMUX_PANE", "STY", "SSH_TTY", "FORCE_COLOR"}

_children: list[subprocess.Popen[bytes]] = []  # kept so that Python reaps them at the next launch


def launch(run: RunFolder, command: Sequence[str] | None = None, wait_seconds: float = START_SECONDS) -> int:
    """Start `command RUN` (ENGINE_COMMAND by default) in a session of its own and return its pid.

    Returns once the engine holds the run's lock, so that a second launch is refused from then on and commands reach it.
    An engine that ends with an `end` event is returned like any other: who follows the run sees why.
    Raises UserError "run-busy", "engine-died" (with the last line of engine.log) or "engine-silent".
    """
    lock = look(run)
    if lock.status == "held":
        raise UserError("run-busy", f"Another engine (process {lock.pid}) is at work on the run {run.name}.", "")
    trim(run.log_path)
    began = time.time()
    try:
        with disk_errors(run.log_path), run.log_path.open("ab") as log:
            child = subprocess.Popen(
                [*_IGNORE_SIGHUP, *(command or ENGINE_COMMAND), str(run.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",  # so that the folder it was started from can be unmounted or removed
                env=environment(os.environ),
                start_new_session=True,
            )
    except OSError as error:
        raise UserError("cannot-launch", f"The engine cannot be started: {error.strerror}.", "") from error
    _children[:] = [other for other in _children if other.poll() is None] + [child]
    _wait_for_first_word(run, child, began, wait_seconds)
    return child.pid


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The engine's environment: ours without the terminal, offline, and able to find the engine's code."""
    env = {name: value for name, value in own.items() if name not in _OF_THE_TERMINAL}
    env |= {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",  # else it warns whenever a worker is forked
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",  # the last lines before a crash are the ones that matter
        "PYTHONFAULTHANDLER": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    root = Path(engine.__file__).resolve().parents[1]
    if root.name not in ("site-packages", "dist-packages"):  # run from the source tree
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), own.get("PYTHONPATH", "")]))
    return env


def _wait_for_first_word(run: RunFolder, child: subprocess.Popen[bytes], began: float, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        gone = child.poll() is not None  # asked before looking, so that a word it left behind is found
        lock = look(run)
        if lock.pid == child.pid and lock.acquired >= began - 1:  # it held it, whether or not it still does
            return
        if gone:
            if lock.status == "held":
                raise UserError("run-busy", f"Another engine (process {lock.pid}) has taken the run {run.name}.", "")
            if any(event["kind"] == "end" and _time(event) >= began - 1 for event in read_all(run.events_path)):
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


def _time(event: Mapping[str, object]) -> float:
    when = event.get("time")
    return float(when) if isinstance(when, int | float) else 0.0
