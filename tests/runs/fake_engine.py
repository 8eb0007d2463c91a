"""A stand-in for `python -m engine RUN`: takes the lock, writes events as the real one does, and trains nothing.

What it is to do stands in the job's arguments, or as JSON in the variable FAKE_ENGINE: `steps`, `step_seconds`,
`then` (finish, fail, crash, exit-before-lock, exit-without-a-word, slow-to-lock, hang), `ignore_stop`, `crash_at` (a
step) and `resumes` (goes on after the last step that an engine before it did).
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


def obey(run: RunFolder, events: EventWriter, inbox: Inbox, step: int) -> bool:
    """Answer what is asked for; True if that is to stop. While paused this does not return."""
    paused = False
    while True:
        for command in inbox.poll():
            if command.command in ("stop", "stop-after-epoch"):
                inbox.answer(command, "done", f"Saved at step {step}.")
                return True
            if command.command == "pause" and not paused:
                events.write("paused", step=step, released=bool(command.arguments.get("release_memory")))
                paused = True
                inbox.answer(command, "done", f"Paused after step {step}.")
            elif command.command == "resume" and paused:
                events.write("resumed", from_step=step)
                paused = False
                inbox.answer(command, "done", "Going on.")
            elif command.command in ("pause", "resume"):
                inbox.answer(command, "ignored", "So it was already.")
            elif command.command == "sample" and command.arguments.get("prompt") == "refuse me":
                inbox.answer(command, "refused", "Not that.")
            else:
                given = {name: value for name, value in command.arguments.items() if value is not None}
                inbox.answer(command, "done", f"{command.command} at step {step} {json.dumps(given)}")
        if not paused:
            return False
        time.sleep(0.01)


def main() -> None:
    run = RunFolder(Path(sys.argv[1]))
    job = Job.read(run.job_path)
    ask = {**job.arguments, **json.loads(os.environ.get("FAKE_ENGINE", "{}"))}
    then = ask.get("then", "finish")
    if then == "exit-before-lock":
        print("torch is not what it should be", file=sys.stderr)
        sys.exit(1)
    if then == "slow-to-lock":
        time.sleep(3)
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
    first = 1
    if ask.get("resumes") and run.checkpoints_dir.joinpath("step").exists():
        first = int(run.checkpoints_dir.joinpath("step").read_text()) + 1
        events.write("resumed", from_step=first - 1)
    step = first - 1
    try:
        for step in range(first, steps + 1):
            if not ask.get("ignore_stop") and obey(run, events, inbox, step - 1):
                status, step = "stopped", step - 1
                break
            time.sleep(float(ask.get("step_seconds", 0.0)))
            events.write("step", step=step, epoch=1, epoch_step=step, loss=0.1, loss_avg=0.1, lr={"unet": 1.0})
            if ask.get("resumes"):
                run.checkpoints_dir.joinpath("step").write_text(str(step))
            if then == "crash" and step == steps:
                os.kill(os.getpid(), signal.SIGKILL)
            if step == ask.get("crash_at"):
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
        result |= {
            "norms": [{"module": f"layer {n}", "norm": 9.5 - n} for n in range(9)],
            "metadata": {"ss_\x1b[31mname": "\x1b]0;bad\x07"},
            "problems": [{"code": "odd", "message": "It is odd.", "hint": "Mend it."}],
        }
    if job.kind == "demo-proof":
        result |= {"distance": {"without": 1.0, "with": 0.2, "truth": 0.1, "gap_closed": 0.89}}
        result |= {"leak": {"with_reg": 0.05, "without_reg": 0.4}}
    run.result_path.write_text(json.dumps(result))
    events.write("end", status=status, message="", output=run.result_path)
    events.close()
    lock.release()


if __name__ == "__main__":
    main()
