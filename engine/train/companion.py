"""`python -m engine.train.companion RUN RENDEZVOUS NUMBER COUNT`: one of the other processes of a training.

It does the job of the run folder beside the engine, says nothing into the run but what goes to engine.log, and ends
with the engine.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.context import JobContext
from engine.plan.errors import UserError
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.train.companions import OUT_OF_MEMORY
from engine.train.processes import ProcessLost, meet


class Silent(JobContext):
    """The first process reports, and is the one that people speak with."""

    def __init__(self, run: RunFolder, events: EventWriter) -> None:
        super().__init__(run, run.job, events)

    def emit(self, kind: str, **fields: Any) -> None:
        """Nothing."""

    def stop_requested(self) -> bool:
        return False

    stopping = property(lambda self: False)


def end_with(stream: Callable[[], bytes]) -> None:
    """End this process when the engine's end of `stream` closes."""

    def wait() -> None:
        stream()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    run, rendezvous, number, count = RunFolder(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    for name in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # the first process decides
    end_with(sys.stdin.buffer.read)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s process {number + 1}: %(message)s")
    from engine.train.job import beside

    try:
        beside(
            Silent(run, EventWriter(Path(os.devnull))), lambda device: meet(rendezvous, number, count, device), number
        )
    except ProcessLost:
        return 0  # of the first, which then is gone as well, or of a third, which the first tells
    except UserError as error:
        logging.error("%s", error)
        return 1
    except torch.OutOfMemoryError:
        logging.exception("out of memory")
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main())
