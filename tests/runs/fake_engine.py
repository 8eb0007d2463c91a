"""A stand-in for `python -m engine RUN`: takes the lock, writes events as the real one does, and trains nothing.

What it is to do stands in the job's arguments, or as JSON in the variable FAKE_ENGINE: `steps`, `step_seconds`,
`then` (finish, fail, crash, exit-before-lock, exit-without-a-word, hang) and `ignore_stop`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from engine.runs.control import Inbox
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.job import Job
from engine.runs.lock import RunLock


class StopAsked(BaseException):
    """SIGINT came."""


def _interrupt(signum: int, frame: object) -> None:
    raise StopAsked


def main() -> None:
    run = RunFolder(Path(sys.argv[1]))
    job = Job.read(run.job_path)
    ask = {**job.arguments, **json.loads(os.environ.get("FAKE_ENGINE", "{}"))}
    then = ask.get("then", "finish")
    if then == "exit-before-lock":
        print("torch is not what it should be", file=sys.stderr)
        sys.exit(1)
    signal.signal(signal.SIGINT, _interrupt)
    lock = RunLock.acquire(run)
    events = EventWriter(run.events_path)
    inbox = Inbox(run, events)
    steps = int(ask.get("steps", 3))
    events.write(
        "job",
        job=job.kind,
        versions={},
        device="cpu",
        settings_sha256="",
        total_steps=steps,
        total_epochs=1,
        pid=os.getpid(),
    )
    if then == "exit-without-a-word":
        os.abort()
    if then == "hang":
        time.sleep(60)
    lora = run.output_dir / f"{job.name or 'lora'}.safetensors"
    status, step = "finished", 0
    events.write("phase", name="caching latents", state="start", done=0, total=2, unit="pictures")
    events.write("phase", name="caching latents", state="end", done=2, total=2, unit="pictures")
    try:
        for step in range(1, steps + 1):
            stops = [command for command in inbox.poll() if command.command == "stop"]
            if stops and not ask.get("ignore_stop"):
                inbox.answer(stops[0], "done")
                status, step = "stopped", step - 1
                break
            time.sleep(float(ask.get("step_seconds", 0.0)))
            events.write("step", step=step, epoch=1, epoch_step=step, loss=0.1, loss_avg=0.1, lr={"unet": 1.0})
            if then == "crash" and step == steps:
                os.kill(os.getpid(), signal.SIGKILL)
    except StopAsked:
        status = "stopped"
    if then == "fail":
        events.write(
            "end", status="failed", code="out-of-patience", message="Enough of this.", hint="Try later.", output=""
        )
        sys.exit(1)
    lora.write_bytes(b"lora")
    events.write("saved", path=lora, epoch=1, step=step, bytes=4)
    result = {"lora": [str(lora)], "message": "", "step": step, "total_steps": steps}
    result |= {"sheet": str(run.path / "sheet.png"), "prompts": ["p"], "seeds": [1], "weights": [0, 1]}
    if job.kind == "inspect":
        result = {"format": "kohya", "rank": 16, "alpha": 16.0, "modules": {"unet": 3, "te1": 0, "te2": 0}}
        result |= {"norms": [], "metadata": {"ss_\x1b[31mname": "\x1b]0;bad\x07"}, "problems": []}
    if job.kind == "demo-proof":
        result |= {"distance": {"without": 1.0, "with": 0.2, "truth": 0.1, "gap_closed": 0.89}}
        result |= {"leak": {"with_reg": 0.05, "without_reg": 0.4}}
    run.result_path.write_text(json.dumps(result))
    events.write("end", status=status, message="", output=run.result_path)
    events.close()
    lock.release()


if __name__ == "__main__":
    main()
