"""Makes believable run folders out of nothing, for tests, screenshots and measurements; no training takes place.

`python -m benchmarks.recorded FOLDER --steps 1316 --ending running --live` also goes on writing steps, as an engine at
work would, until it is killed or interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from collections import deque
from pathlib import Path
from typing import Literal, get_args

from benchmarks.recorded_pictures import draw
from engine.plan import presets
from engine.plan.settings import resolve
from engine.runs.checkpoints import STATE_FILE
from engine.runs.folder import RunFolder
from engine.runs.job import Job
from engine.runs.lock import RunLock

Ending = Literal["running", "finished", "failed", "died", "paused"]

BEGAN = 1795361412.0  # 22 November 2026, 15:30:12 UTC: recorded runs that are over always tell the same times
STEP_SECONDS = 0.72  # an RTX 4090 at batch size 2, 1024 × 1024, with gradient checkpointing
EPOCHS = 4
CHECKPOINT_STEPS = 250
CHECKPOINTS_KEPT = 2
SAMPLE_ROUNDS = 40  # at most: a run of 100,000 steps is recorded to measure reading, not to look at its pictures
LORA_BYTES, CHECKPOINT_BYTES = 511_000_000, 2_045_000_000  # at rank 96
GIB = 1024**3
PROMPTS = (
    ("zibo, a photo of a man", 42),
    ("zibo, a photo of a man in a red scarf, winter street", 43),
    ("zibo, a portrait of a man at a window, evening light", 44),
)


def record(
    folder: Path,
    steps: int = 3000,
    ending: Ending = "running",
    seed: int = 0,
    samples: bool = True,
    lora: str = "zibo-portrait",
    total_steps: int = 0,
    ended: float | None = None,
) -> RunFolder:
    """Write the run folder `folder` (its parents too) of a training that has done `steps` steps, and return it.

    The same arguments give the same files. `total_steps`: 0 means as many as were done for a finished run, else 3000
    or twice the steps. `ended`: Unix seconds of the last event; by default now for "running" and "paused", and a fixed
    day for the others. `hold` the lock of a "running" or "paused" one while it is looked at, or it looks as if it died.
    """
    run = RunFolder(folder)
    total = total_steps or (steps if ending == "finished" else 3000 if steps < 3000 else 2 * steps)
    every = max(CHECKPOINT_STEPS, math.ceil(steps / SAMPLE_ROUNDS / CHECKPOINT_STEPS) * CHECKPOINT_STEPS)
    for made in (run.control_dir, run.samples_dir, run.output_dir, run.checkpoints_dir):
        made.mkdir(parents=True, exist_ok=True)
    _write_job(run, lora, every, seed)
    story = _Story(run, total, every, seed, lora, samples)
    story.tell(steps, ending)
    if ended is None and ending in ("running", "paused"):
        ended = time.time()
    story.write(shift=0.0 if ended is None else round(ended - story.now, 3))
    _write_log(run, ending)
    hold(run).release()  # leaves the file as an engine does
    return run


def hold(run: RunFolder) -> RunLock:
    """Take the lock of a recorded run in this process, as the engine that wrote it would have it: since its beginning.

    Call `release()` on what is returned, or use it in a `with`.
    """
    with run.events_path.open("rb") as file:
        began = json.loads(file.readline())["time"]
    return RunLock.acquire(run, acquired_ns=int(began * 1e9) - 500_000_000)


class _Story:
    """The events of one run, in a time of its own that begins at BEGAN."""

    def __init__(self, run: RunFolder, total: int, every: int, seed: int, lora: str, samples: bool) -> None:
        self.run, self.total, self.every, self.lora, self.samples = run, total, every, lora, samples
        self.now = BEGAN
        self.lines: list[tuple[float, str]] = []  # time, and the rest of the line
        self.random = random.Random(seed)
        self.steps_per_epoch = max(1, math.ceil(total / EPOCHS))
        self.recent: deque[float] = deque(maxlen=100)
        self.recent_sum = 0.0
        self.d = 1e-4
        self.next_gpu = self.next_beat = 0.0
        self.kept: list[int] = []

    def tell(self, steps: int, ending: Ending) -> None:
        self._prepare()
        for step in range(1, steps + 1):
            self.step(step)
            whole_epoch = step % self.steps_per_epoch == 0 or step == self.total
            if step % CHECKPOINT_STEPS == 0 or step == self.total:
                self._checkpoint(step)
            if whole_epoch and (step < self.total or ending == "finished"):
                self._save(step)
            if step % self.every == 0:
                self._sample(step)
        self._end(steps, ending)

    def event(self, kind: str, **fields: object) -> None:
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:]
        self.lines.append((self.now, f'"kind":"{kind}"{"," if fields else ""}{body}'))

    def write(self, shift: float) -> None:
        text = "".join(
            f'{{"v":1,"seq":{seq},"time":{round(when + shift, 3)},{body}\n'
            for seq, (when, body) in enumerate(self.lines, 1)
        )
        self.run.events_path.write_text(text, encoding="utf-8")

    def wait(self, seconds: float) -> None:
        """Time passes, and the heart beats."""
        self.now += seconds
        if self.now >= self.next_beat:
            self.next_beat = self.now + 5.0
            rss = int((6.2 + 0.1 * self.random.random()) * GIB)
            self.event(
                "heartbeat",
                rss_bytes=rss,
                peak_rss_bytes=int(9.8 * GIB),
                ram_used_bytes=rss + int(4.1 * GIB),
                ram_total_bytes=64 * GIB,
                disk_free_bytes=80_000_000_000 - LORA_BYTES * len(self.kept),
            )

    def phase(self, name: str, seconds: float, total: int = 0, unit: str = "") -> None:
        self.event("phase", name=name, state="start", done=0, total=total or None, unit=unit)
        parts = max(1, min(total, int(seconds)))
        for part in range(1, parts + 1):
            self.wait(seconds / parts)
            state = "end" if part == parts else "progress"
            self.event("phase", name=name, state=state, done=total * part // parts, total=total or None, unit=unit)

    def step(self, step: int) -> None:
        """One step; written without json.dumps, which would take most of the time of a long recording."""
        seconds = STEP_SECONDS * (1 + 0.03 * self.random.gauss(0, 1))
        self.wait(seconds)
        base = 0.105 + 0.06 * math.exp(-step / 150) + 0.04 * math.exp(-5 * step / self.total)
        loss = base * math.exp(0.35 * self.random.gauss(0, 1) - 0.06)
        if len(self.recent) == self.recent.maxlen:
            self.recent_sum -= self.recent[0]
        self.recent.append(loss)
        self.recent_sum += loss
        # Prodigy's d starts tiny, grows in bursts and settles; it never falls.
        if self.d < 3.1e-4 and self.random.random() < 0.2:
            self.d = min(3.1e-4, self.d * (1 + 0.012 * self.random.random()))
        epoch, epoch_step = divmod(step - 1, self.steps_per_epoch)
        self.lines.append(
            (
                self.now,
                f'"kind":"step","step":{step},"epoch":{epoch + 1},"epoch_step":{epoch_step + 1},"loss":{loss},'
                f'"loss_avg":{self.recent_sum / len(self.recent)},"lr":{{"unet":{self.d}}},"d":{self.d},'
                f'"grad_norm":{0.02 + 0.2 * loss},"seconds":{seconds:.4f},"images_per_second":{2 / seconds:.3f}}}',
            )
        )
        if self.now >= self.next_gpu:
            self.next_gpu = self.now + 1.0
            used = int((21.4 + 0.02 * self.random.random()) * GIB)
            self.event(
                "gpu",
                used_bytes=used,
                total_bytes=24564 * 1024**2,
                peak_bytes=int(20.6 * GIB),
                utilisation=99 - int(2 * self.random.random()),
                celsius=70 + int(3 * self.random.random()),
                watts=376 + int(14 * self.random.random()),
            )

    def _prepare(self) -> None:
        self.wait(0.0)
        self.phase("loading libraries", 6.1)
        self.phase("reading pictures", 1.2, 30, "pictures")
        small = "3 pictures are smaller than 1024 × 1024 and are trained at their own size: 04.jpg, 11.jpg, 27.jpg."
        self.event("warning", code="small-pictures", message=small, change=None)
        self.event(
            "job",
            job="train",
            versions={"python": "3.11.7", "torch": "2.13.0+cu130", "diffusers": "0.42.0", "peft": "0.19.0"},
            device="NVIDIA GeForce RTX 4090 (cuda:0)",
            settings_sha256=hashlib.sha256(self.run.job_path.read_bytes()).hexdigest(),
            total_steps=self.total,
            total_epochs=EPOCHS,
            pid=24122,
        )
        self.phase("loading the base model", 9.4)
        self.phase("encoding captions", 3.0, 33, "captions")
        self.phase("encoding pictures", 14.0, 30, "pictures")
        self.phase("attaching the LoRA", 2.2)
        self.event("phase", name="training", state="start", done=0, total=self.total, unit="steps")
        self._sample(0)

    def _sample(self, step: int) -> None:
        if not self.samples:
            return
        self.phase("sampling", 9.0, 90, "steps")
        for number, (prompt, seed) in enumerate(PROMPTS):
            path = f"samples/step{step:08d}_{number:02d}_{seed}.png"
            draw(number, step, seed).save(self.run.path / path, compress_level=1)
            self.event("sample", step=step, path=path, prompt=prompt, seed=seed, weight=1.0)

    def _save(self, step: int) -> None:
        epoch = math.ceil(step / self.steps_per_epoch)
        name = f"{self.lora}.safetensors" if step == self.total else f"{self.lora}-{epoch:06d}.safetensors"
        self.wait(1.6)
        (self.run.output_dir / name).write_bytes(_empty_safetensors())
        self.event("saved", path=f"output/{name}", epoch=epoch, step=step, bytes=LORA_BYTES)

    def _checkpoint(self, step: int) -> None:
        self.wait(2.3)
        path = f"checkpoints/step-{step:08d}"
        epoch = math.ceil(step / self.steps_per_epoch)
        self.event("checkpoint", step=step, epoch=epoch, path=path, bytes=CHECKPOINT_BYTES, seconds=2.3)
        self.kept.append(step)
        if len(self.kept) > CHECKPOINTS_KEPT:
            self.event("checkpoint-removed", path=f"checkpoints/step-{self.kept.pop(0):08d}")

    def _end(self, steps: int, ending: Ending) -> None:
        for step in self.kept:
            made = self.run.checkpoints_dir / f"step-{step:08d}"
            made.mkdir(exist_ok=True)
            (made / "weights.safetensors").write_bytes(_empty_safetensors())
            state = {"epoch": math.ceil(step / self.steps_per_epoch)}  # enough to be listed, not to go on from
            (made / STATE_FILE).write_text(json.dumps(state), encoding="utf-8")
        if ending == "paused":
            self.event("command", id="1795361999000000000-77", command="pause", result="done", message="Paused.")
            self.event("paused", step=steps, released=True)
            self.wait(10.0)
        elif ending == "finished":
            self.event("phase", name="training", state="end", done=steps, total=self.total, unit="steps")
            result = {"lora": [f"output/{self.lora}.safetensors"], "step": steps, "total_steps": self.total}
            self.run.result_path.write_text(json.dumps(result), encoding="utf-8")
            self.event("end", status="finished", message=f"Trained {steps} steps.", output="result.json")
        elif ending == "failed":
            self.event(
                "end",
                status="failed",
                message="The graphics card has too little free memory for this.",
                output=None,
                code="out-of-memory",
                hint="Start a new run with train_batch_size = 1, or a lower network_dim or resolution.",
            )


def _write_job(run: RunFolder, lora: str, every: int, seed: int) -> None:
    settings = resolve({**presets.load("guide").settings, "sample_every_n_steps": every, "output_name": lora})
    project = run.path.parent.parent if run.path.parent.name == "runs" else run.path.parent
    run.job_path.unlink(missing_ok=True)
    Job("train", project, lora, "zibo", "man", settings.model_copy(update={"seed": seed + 42})).write(run.job_path)


def _write_log(run: RunFolder, ending: Ending) -> None:
    lines = ["loading zibo-portrait", "attention: PyTorch's own", "722 modules of the U-Net are trained"]
    if ending == "failed":
        lines += ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 402.00 MiB."]
    run.log_path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _empty_safetensors() -> bytes:
    return (2).to_bytes(8, "little") + b"{}"


def go_on(run: RunFolder, first: int, total: int, step_seconds: float) -> None:
    """Hold the lock and write steps in real time, `first` to `total`, as an engine at work does."""
    with hold(run):
        story = _Story(run, total, CHECKPOINT_STEPS, first, "live", samples=False)
        story.d = 3.1e-4
        seq = sum(1 for _ in run.events_path.open("rb"))
        with run.events_path.open("ab", buffering=0) as file:
            for step in range(first, total + 1):
                time.sleep(step_seconds)
                story.lines.clear()
                story.step(step)
                for _, body in story.lines:
                    seq += 1
                    file.write(f'{{"v":1,"seq":{seq},"time":{round(time.time(), 3)},{body}\n'.encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorded", description=record.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--of", type=int, default=0, metavar="TOTAL", help="how many steps the run is to have")
    parser.add_argument("--ending", choices=get_args(Ending), default="finished")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lora", default="zibo-portrait")
    parser.add_argument("--no-samples", action="store_true")
    parser.add_argument("--live", action="store_true", help="hold the lock and go on writing steps")
    parser.add_argument("--step-seconds", type=float, default=STEP_SECONDS)
    args = parser.parse_args()
    total = args.of
    run = record(args.folder, args.steps, args.ending, args.seed, not args.no_samples, args.lora, total)
    print(run.path, flush=True)
    if args.live:
        go_on(run, args.steps + 1, total or 2 * max(args.steps, 1500), args.step_seconds)
    elif args.ending in ("running", "paused"):
        print("nobody holds its lock, so it looks as if it had died; --live keeps it alive")


if __name__ == "__main__":
    main()
