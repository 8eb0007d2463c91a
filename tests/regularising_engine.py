"""A stand-in for the engine that makes regularisation pictures: says how far it is until it is asked to stop."""

from __future__ import annotations

import subprocess
import sys
import time

from engine.runs.folder import RunFolder
from engine.runs.lock import look

_ENGINE = """
import sys, time
from pathlib import Path
from engine.runs.control import Inbox
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock

run = RunFolder(Path(sys.argv[1]))
lock = RunLock.acquire(run)
with EventWriter(run.events_path) as events:
    inbox = Inbox(run, events)
    events.write("phase", name="making pictures", state="start", done=0, total=200, unit="pictures")
    unit = "pictures, step 3 of 20"
    events.write("phase", name="making pictures", state="progress", done=50, total=200, unit=unit)
    while not any(command.command == "stop" for command in inbox.poll()):
        time.sleep(0.01)
    events.write("end", status="stopped", message="50 pictures made, 1.0 s each.", output=None)
lock.release()
"""


def start(run: RunFolder) -> int:
    """In place of `lora_tui.follow.start`."""
    engine = subprocess.Popen([sys.executable, "-c", _ENGINE, str(run.path)])
    end = time.monotonic() + 60
    while look(run).status != "held":
        assert time.monotonic() < end
        time.sleep(0.01)
    return engine.pid
