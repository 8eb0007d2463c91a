"""Starts processes that outlive everything: the terminal, the SSH connection, the program that started them.

It takes a session of their own *and* no terminal among their files: a process that still writes to a terminal dies with
it, whatever its session.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import engine
from engine.plan.files import disk_errors, open_no_link

# -P: the working folder is not searched for modules, so a stray engine.py or torch.py of the user's cannot be taken.
PYTHON_MODULE = (sys.executable, "-P", "-m")

# An ignored SIGHUP stays ignored through exec. Done by the shell because Python code between fork and exec is not safe
# in a program with threads, and the app has some.
IGNORE_SIGHUP = ("/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
_OF_THE_TERMINAL = {"TERM", "COLORTERM", "COLUMNS", "LINES", "TMUX", "TMUX_PANE", "STY", "SSH_TTY", "FORCE_COLOR"}

_children: list[subprocess.Popen[bytes]] = []  # kept so that Python reaps them at the next start


def start(command: Sequence[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` with its output appended to `log`. Its pid stays the same when the shell has made way for it.

    Raises UserError "disk-full" or "not-writable" for the log, OSError where no process can be started.
    """
    with disk_errors(log), os.fdopen(open_no_link(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        child = subprocess.Popen(
            [*IGNORE_SIGHUP, *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/",  # so that the folder it was started from can be unmounted or removed
            env=dict(env),
            start_new_session=True,
        )
    _children[:] = [other for other in _children if other.poll() is None] + [child]
    return child


def without_terminal(own: Mapping[str, str]) -> dict[str, str]:
    """Our environment without what speaks of the terminal, and with what finds the engine's code."""
    env = {name: value for name, value in own.items() if name not in _OF_THE_TERMINAL}
    root = Path(engine.__file__).resolve().parents[1]
    if root.name not in ("site-packages", "dist-packages"):  # run from the source tree
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), own.get("PYTHONPATH", "")]))
    return env
