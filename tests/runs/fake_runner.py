"""The real runner of the queue, with the stand-in for the engine."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.runs import launch, queue_runner

if __name__ == "__main__":
    launch.ENGINE_COMMAND = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))
    queue_runner.POLL_SECONDS = 0.05
    sys.exit(queue_runner.main())
