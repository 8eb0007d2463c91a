"""What the dashboard costs: `python -m benchmarks.dashboard`, a table and JSON in build/dashboard.json.

The real app (`lora-tui watch RUN`) in a pty of 120 × 40, on recorded runs: one of 100,000 steps that is over, and one
in which a stand-in for the engine goes on writing steps. It takes about two minutes and wants an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.recorded import record
from engine.runs.control import Inbox
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from engine.runs.state import RunView

COLUMNS, ROWS = 120, 40
LONG_RUN_STEPS = 100_000
FRAMES = 60
STARTS = 5
LOADS = 3
QUIET_SECONDS = 1.5  # nothing written for so long: the app has shown all there is
FIRST_FRAME = b"Progress"  # the title of a panel
MIB = 1024 * 1024
MEMORY_CALLS = ("brk", "mmap", "munmap")  # how many Python needs depends on the addresses that it was given by chance


class Pty:
    """A program in a pty that is read and not drawn, so that drawing does not take the time that is measured."""

    def __init__(
        self, command: Sequence[object], home: Path, columns: int = COLUMNS, rows: int = ROWS, **variables: str
    ) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TMUX", "SSH_"))}
        env |= {"HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        env |= {"OMP_NUM_THREADS": "1"} | variables
        self.began = time.monotonic()
        self.pid, self._fd = pty.fork()
        if not self.pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(str(command[0]), [str(part) for part in command], env)
        self.process = psutil.Process(self.pid)
        self.output = b""
        self.last = self.began  # when something was written

    def read(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Read for so long, or until `until()`."""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            if not select.select([self._fd], [], [], min(left, 0.2))[0]:
                continue
            try:
                data = os.read(self._fd, 1 << 20)
            except OSError:
                return
            self.last = time.monotonic()
            self.output += data

    def press(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def first_frame(self) -> float:
        """Seconds from the start to the first frame."""
        self.read(30.0, lambda: FIRST_FRAME in self.output)
        if FIRST_FRAME not in self.output:
            raise RuntimeError(f"no first frame; the app said {self.output[-2000:]!r}")
        return self.last - self.began

    def settled(self) -> float:
        """Seconds from the start until all is shown that there is."""
        self.read(60.0, lambda: time.monotonic() - self.last > QUIET_SECONDS)
        return self.last - self.began

    def cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        self.read(5.0, lambda: self.process.status() == psutil.STATUS_ZOMBIE)
        if self.process.status() != psutil.STATUS_ZOMBIE:
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


def watch(run: RunFolder, home: Path) -> Pty:
    return Pty([Path(sys.executable).with_name("lora-tui"), "watch", run.path], home)


# ----------------------------------------------------------------------------------------------------------- the chart
def chart_frames(home: Path, steps: int) -> dict[str, float]:
    """CPU ms and KiB of a frame of the chart alone, with two new steps in each."""
    result = home / f"frames-{steps}.json"
    child = Pty([sys.executable, "-m", "benchmarks.dashboard", "--frames-of", steps, "--json", result], home)
    child.read(120.0, lambda: child.process.status() == psutil.STATUS_ZOMBIE)
    child.end()
    told: dict[str, float] = json.loads(result.read_bytes())
    marks = [match.start() for match in re.finditer(rb"\x1b\]2;frames\x07", child.output)]
    told["kib"] = (marks[1] - marks[0]) / FRAMES / 1024
    return told


def draw_frames(steps: int, result: Path) -> None:
    """In the child: an app with a chart and nothing else."""
    import random

    from textual.app import App, ComposeResult

    from engine.runs.snapshot import Snapshot
    from lora_tui.widgets.chart import ChartRun, LossChart

    chance, snapshot = random.Random(0), Snapshot()

    def grow(count: int) -> None:
        for step in range(len(snapshot.steps) + 1, len(snapshot.steps) + 1 + count):
            snapshot.steps.append(step)
            snapshot.losses.append(0.1 * chance.lognormvariate(0, 0.35))
            snapshot.loss_avgs.append(0.1 + 0.05 * 0.5 ** (step / 500) + 0.001 * chance.random())

    class Alone(App[None]):
        def compose(self) -> ComposeResult:
            yield LossChart()

        def on_mount(self) -> None:
            self.run_worker(self.frames())

        async def frames(self) -> None:
            chart = self.query_one(LossChart)
            runs = [ChartRun("run", snapshot)]
            grow(steps)
            await asyncio.sleep(0.3)
            chart.show(runs)
            await asyncio.sleep(0.3)
            costs = []
            self._mark()
            for _ in range(FRAMES):
                grow(2)
                before = time.process_time()
                chart.show(runs)
                await asyncio.sleep(0.05)
                costs.append(time.process_time() - before)
            self._mark()
            before = time.process_time()
            for _ in range(FRAMES):
                await asyncio.sleep(0.05)
            idle = (time.process_time() - before) / FRAMES
            told = {"ms": (statistics.mean(costs) - idle) * 1000, "worst_ms": (max(costs) - idle) * 1000}
            result.write_text(json.dumps(told), encoding="utf-8")
            self.exit()

        def _mark(self) -> None:
            if self._driver is not None:
                self._driver.write("\x1b]2;frames\x07")
                self._driver.flush()

    Alone().run()


# -------------------------------------------------------------------------------------------------- reading and the app
def reading(run: RunFolder) -> dict[str, float]:
    """Seconds to read a whole log, without any screen, and the longest slice."""
    view, began, worst, first = RunView(run), time.perf_counter(), 0.0, 0.0
    while True:
        before = time.perf_counter()
        more = view.refresh(limit=1000).more
        worst = max(worst, time.perf_counter() - before)
        first = first or time.perf_counter() - began
        if not more:
            return {"first_slice": first, "whole": time.perf_counter() - began, "longest_slice": worst}


def finished(run: RunFolder, home: Path) -> dict[str, float]:
    """The app on a run that is over: first frame, whole history, memory, and what it writes while nothing happens."""
    app = watch(run, home)
    first = app.first_frame()
    whole = app.settled()
    memory, written, cpu = app.process.memory_info().rss, len(app.output), app.cpu()
    spent = cpu
    app.read(10.0)
    told = {
        "first_frame": first,
        "whole": whole,
        "cpu": spent,
        "rss_mib": memory / MIB,
        "idle_bytes_per_second": (len(app.output) - written) / 10,
        "idle_cpu_percent": (app.cpu() - cpu) * 10,
    }
    app.end()
    return told


def live(run: RunFolder, home: Path, seconds: float, engine: Sequence[object]) -> dict[str, float]:
    """The app beside an engine that writes a step every 0.72 s."""
    writer = subprocess.Popen([str(part) for part in engine], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    app = watch(run, home)
    try:
        app.first_frame()
        app.read(8.0)
        written, cpu = len(app.output), app.cpu()
        app.read(seconds)
        used = app.cpu() - cpu
        return {
            "kib_per_second": (len(app.output) - written) / seconds / 1024,
            "cpu_percent": used / seconds * 100,
            "tick_ms": used / (2 * seconds) * 1000,
        }
    finally:
        app.end()
        writer.terminate()
        writer.wait()


# -------------------------------------------------------------------------------------------------------- the engine
def write_steps(folder: Path, steps: int) -> None:
    """In the child: what an engine does besides computing: its lock, its events, a look for commands at every step."""
    run = RunFolder(folder)
    with RunLock.acquire(run), EventWriter(run.events_path) as events:
        inbox = Inbox(run, events)
        events.write("phase", name="loading libraries", state="start", done=0, total=None, unit="")
        print("writing", flush=True)
        for step in range(1, steps + 1):
            time.sleep(0.05)
            inbox.poll()
            events.write("step", step=step, epoch=1, epoch_step=step, loss=0.1, loss_avg=0.1, lr={"unet": 1.0})


def engine_calls(folder: Path, home: Path, watchers: int) -> dict[str, int]:
    """System calls of such an engine by name, with so many dashboards watching it."""
    run = record(folder, steps=0, samples=False, ended=0.0)
    run.events_path.unlink()
    counted = folder / "strace"
    command = ["strace", "-f", "-c", "-U", "name,calls", "-o", str(counted)]
    command += [sys.executable, "-m", "benchmarks.dashboard", "--write-steps-to", str(folder)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    apps = [watch(run, home) for _ in range(watchers)]
    while writer.poll() is None:
        for app in apps:
            app.read(0.05)
        time.sleep(0.05)
    for app in apps:
        app.read(2.0)
        if b"240" not in app.output:
            raise RuntimeError("a dashboard did not see the last step")
        app.end()
    found = re.findall(r"^(\w+) +(\d+)$", counted.read_text(), re.MULTILINE)
    return {name: int(calls) for name, calls in found if name not in ("total", *MEMORY_CALLS)}


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        over = record(home / "project" / "runs" / "2026-11-22_153012", LONG_RUN_STEPS, "finished")
        told: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
        told["chart"] = {steps: chart_frames(home, steps) for steps in (1_000, 10_000, LONG_RUN_STEPS)}
        told["reading"] = reading(over)
        short = record(home / "short" / "runs" / "2026-11-22_153013", 3000, "finished")
        starts = []
        for _ in range(STARTS):
            app = watch(short, home)
            starts.append(app.first_frame())
            app.end()
        told["start"] = statistics.median(starts)
        tries = [finished(over, home) for _ in range(LOADS)]
        told["finished"] = {name: statistics.median(tried[name] for tried in tries) for name in tries[0]}
        told["live"] = {}
        for name, steps in (("1,300 steps", 1300), ("99,000 steps", 99_000)):
            folder = home / name.split()[0] / "runs" / "2026-11-22_153014"
            engine = [sys.executable, "-m", "benchmarks.recorded", folder, "--steps", steps, "--of", 100_000]
            told["live"][name] = live(RunFolder(folder), home, 20.0, [*engine, "--ending", "running", "--live"])
        if shutil.which("strace"):
            engine_calls(home / "calls-w" / "runs" / "1", home, 0)  # Python writes its compiled modules once
            told["calls"] = {n: engine_calls(home / f"calls-{n}" / "runs" / "1", home, n) for n in (0, 1, 5)}
        return told


def rows(told: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The table: what, how much, and what it is to be."""
    done, read = told["finished"], told["reading"]
    table = [
        (f"a frame of the chart, {int(steps):,} points, ms of CPU", f"{frame['ms']:.1f}", "about 10")
        for steps, frame in told["chart"].items()
    ]
    table += [
        ("start-up to the first frame, s (median of 5)", f"{told['start']:.2f}", "under 0.7"),
        ("100,000 steps: reading the log without a screen, s", f"{read['whole']:.2f}", ""),
        ("  the first slice, ms", f"{read['first_slice'] * 1000:.0f}", ""),
        ("  the longest slice, ms", f"{read['longest_slice'] * 1000:.0f}", ""),
        ("  first frame, s after start-up", f"{max(0.0, done['first_frame'] - told['start']):.2f}", "at most 1"),
        ("  the whole chart, s after start-up", f"{done['whole'] - told['start']:.2f}", "at most 2.5"),
        ("    seconds of CPU until then, start-up and all", f"{done['cpu']:.2f}", ""),
        ("  memory of the app, MiB", f"{done['rss_mib']:.0f}", "under 200"),
        ("  when nothing changes, bytes a second", f"{done['idle_bytes_per_second']:.0f}", "0"),
        ("    % of a core", f"{done['idle_cpu_percent']:.1f}", ""),
    ]
    for name, live in told["live"].items():
        table += [
            (f"live, {name}: a tick with new events, ms of CPU", f"{live['tick_ms']:.1f}", "at most 30"),
            ("  % of a core at 2 Hz", f"{live['cpu_percent']:.1f}", "at most 5"),
            ("  KiB a second", f"{live['kib_per_second']:.1f}", "at most 15"),
        ]
    calls = told.get("calls", {})
    for watchers, counts in calls.items():
        goal = "the same" if counts == next(iter(calls.values())) else "DIFFERENT"
        table.append((f"system calls of an engine with {watchers} dashboards", f"{sum(counts.values()):,}", goal))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/dashboard.json"))
    parser.add_argument("--frames-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write-steps-to", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.frames_of:
        draw_frames(args.frames_of, args.json)
        return
    if args.write_steps_to:
        write_steps(args.write_steps_to, 240)
        return
    told = measure()
    for name, value, goal in rows(told):
        print(f"{name:<58} {value:>10}  {goal}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(f"\nwritten to {args.json}")


if __name__ == "__main__":
    main()
