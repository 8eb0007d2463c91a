"""`python -m engine RUN_FOLDER`: do the job that lies in a run folder, and report into it.

Nothing heavy is imported before the lock is held and the first event is written, so that a watcher sees the run begin.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.context import JobContext, Stopped, listen_to_signals
from engine.out_of_memory import is_out_of_memory
from engine.plan.errors import UserError, inert
from engine.plan.files import atomic_write
from engine.runs.events import EventWriter
from engine.runs.fold import FIRST_PHASE
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from engine.runs.log import Heart

JOBS = {
    "train": "engine.train.job",
    "caption": "engine.caption.job",
    "compare": "engine.generate.compare",
    "regularise": "engine.generate.regularise",
    "inspect": "engine.lora.inspection",
    "convert": "engine.lora.convert",
    "download": "engine.download.job",
    "fetch-pictures": "engine.download.pictures",
    "demo-proof": "engine.demo.proof",
}
"""Kind of job to the module whose `run(context)` does it and returns its result as a JSON object."""


def work(run: RunFolder) -> int:
    """Do the job of `run`; returns the exit code (0 done, 1 failed, 3 stopped)."""
    stop = listen_to_signals()  # before the lock: who sees it held may send a signal
    lock = RunLock.acquire(run)
    with EventWriter(run.events_path) as events:
        try:
            return _work(run, events, stop)
        except UserError as error:
            events.write("end", status="failed", code=error.code, message=error.message, hint=error.hint, output=None)
        except Exception as error:
            traceback.print_exc()
            if is_out_of_memory(error):
                message = "The graphics card has too little free memory for this."
                hint = "Start a new run with train_batch_size = 1, or a lower network_dim or resolution."
                events.write("end", status="failed", code="out-of-memory", message=message, hint=hint, output=None)
                return 1
            message = f"{type(error).__name__}: {inert(error)}".splitlines()[0][:500]
            hint = f"This is a fault in lora-tui; the details are in {inert(run.log_path)}."
            events.write("end", status="failed", code="internal", message=message, hint=hint, output=None)
        finally:
            lock.release()
    return 1


def _work(run: RunFolder, events: EventWriter, stop: threading.Event) -> int:
    job = run.job
    if job.kind not in JOBS:
        raise UserError("bad-job", f"This engine does not know the job {inert(job.kind)!r}.")
    context = JobContext(run, job, events, stop)
    with Heart(context.run, events, shortage=context.shortage):
        context.emit("phase", name=FIRST_PHASE, state="start", done=0, total=None, unit="")
        perform: Callable[[JobContext], dict[str, Any]] = import_module(JOBS[job.kind]).run
        context.emit("phase", name=FIRST_PHASE, state="end", done=0, total=None, unit="")
        try:
            result = perform(context)
        except Stopped:
            result = {"message": "Stopped before anything was made."}
        except BaseException:
            with contextlib.suppress(UserError):  # a full disk: then nobody can be answered
                context.answer_all("The run failed.")
            raise
        # A training says whether it came to its end: a stop in its last moment came too late, and one after an epoch
        # was no signal.
        stopped = not result["complete"] if "complete" in result else context.stop_requested()
        atomic_write(run.result_path, json.dumps(result, ensure_ascii=False, indent=1))
        context.answer_all(result.get("message", ""))
    status = "stopped" if stopped else "finished"
    events.write("end", status=status, message=result.get("message", ""), output=run.result_path)
    return 3 if stopped else 0


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m engine RUN_FOLDER", file=sys.stderr)
        return 2
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        run = RunFolder(Path(sys.argv[1]))
        if not run.first_job_path.is_file():
            raise UserError("no-such-run", f"{run.path} is no run folder: there is no {run.first_job_path.name} in it.")
        return work(run)
    except UserError as error:
        # The log belongs to the engine that has the run; whoever started this one is told by the lock.
        if error.code != "run-busy" or not _writes_into(RunFolder(Path(sys.argv[1])).log_path):
            print(f"error: {error}", file=sys.stderr)
        return 1


def _writes_into(log: Path) -> bool:
    """Whether that is where our stderr goes."""
    try:
        return os.path.samestat(os.fstat(2), log.stat())
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
