"""The table of states, row by row. The lock is looked at first, the log after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.runs.events import EventWriter
from engine.runs.fold import Snapshot, fold
from engine.runs.folder import RunFolder
from engine.runs.lock import LockInfo, RunLock
from engine.runs.state import RunView, derive, last_progress

NEVER, FREE = LockInfo("never"), LockInfo("free", pid=1, acquired=100.0)
HELD = LockInfo("held", pid=1, acquired=100.0)
LATER = LockInfo("held", pid=2, acquired=150.0)
UNREADABLE = LockInfo("unreadable")
ELSEWHERE = LockInfo("free", pid=1, acquired=100.0, elsewhere=True)
ELSEWHERE_HELD = LockInfo("held", pid=1, acquired=100.0, elsewhere=True)

JOB: dict[str, Any] = {"kind": "job", "job": "train", "total_steps": 10}


def log(*events: tuple[float, dict[str, Any]]) -> Snapshot:
    return fold({"seq": seq, "time": when, **event} for seq, (when, event) in enumerate(events, 1))


def step(number: int, seconds: float = 1.0) -> dict[str, Any]:
    return {"kind": "step", "step": number, "loss": 0.1, "seconds": seconds}


def phase(state: str, name: str = "caching latents") -> dict[str, Any]:
    return {"kind": "phase", "name": name, "state": state}


def end(status: str) -> dict[str, Any]:
    return {"kind": "end", "status": status}


BEAT: dict[str, Any] = {"kind": "heartbeat"}
STEPS = [(101.0, JOB), *((102.0 + number, step(number)) for number in range(1, 9))]  # a step a second, the last at 110
SLOW_STEPS = [(101.0, JOB), *((100.0 + 60 * number, step(number, 60.0)) for number in range(1, 9))]  # the last at 580


@pytest.mark.parametrize(
    ("snapshot", "lock", "now", "state"),
    [
        pytest.param(log(), NEVER, 100, "queued", id="made, and no engine yet"),
        pytest.param(log(), HELD, 101, "preparing", id="held, not a word yet"),
        pytest.param(log((101, JOB)), HELD, 102, "preparing", id="held, has said what it is"),
        pytest.param(log((101, JOB), (102, phase("progress"))), HELD, 103, "preparing", id="held, phase"),
        pytest.param(log((101, JOB), (102, phase("start")), (160, BEAT)), HELD, 161, "preparing", id="held, heartbeat"),
        pytest.param(log(*STEPS), HELD, 111, "training", id="held, a young step"),
        pytest.param(log(*SLOW_STEPS), HELD, 800, "training", id="held, a step within five times a slow gap"),
        pytest.param(log(*STEPS, (111, phase("start", "sampling")), (170, BEAT)), HELD, 171, "training", id="sampling"),
        pytest.param(log(*STEPS, (111, {"kind": "paused"})), HELD, 5000, "paused", id="held, paused"),
        pytest.param(
            log(*STEPS, (111, {"kind": "paused"}), (200, {"kind": "resumed", "from_step": 8})), HELD, 201, "training",
            id="held, resumed",
        ),
        pytest.param(log(), HELD, 131, "silent", id="held, nothing at all for 30 s"),
        pytest.param(log((101, JOB), (102, phase("start"))), HELD, 140, "silent", id="silent in a phase"),
        pytest.param(log(*STEPS), HELD, 141, "silent", id="silent in training"),
        pytest.param(log(*STEPS, (140, BEAT)), HELD, 141, "silent", id="a heartbeat is not progress"),
        pytest.param(log(*SLOW_STEPS), HELD, 881, "silent", id="silent after five slow gaps"),
        pytest.param(log(*STEPS, (111, end("finished"))), FREE, 999, "finished", id="free, finished"),
        pytest.param(log(*STEPS, (111, end("finished"))), HELD, 112, "finished", id="held, but has said goodbye"),
        pytest.param(log(*STEPS, (111, end("stopped"))), FREE, 999, "stopped", id="free, stopped"),
        pytest.param(log(*STEPS, (111, end("failed"))), FREE, 999, "failed", id="free, failed"),
        pytest.param(log(*STEPS, (111, end("who knows"))), FREE, 999, "failed", id="free, an unknown end"),
        pytest.param(log(*STEPS), FREE, 111, "died", id="free, no end"),
        pytest.param(log(), FREE, 111, "died", id="free after having been held, no events"),
        pytest.param(log(*STEPS), NEVER, 111, "died", id="events, and the lock file is gone"),
        pytest.param(log((50, JOB), (60, step(1)), (90, end("stopped"))), HELD, 101, "preparing", id="new after end"),
        pytest.param(log((50, JOB), (60, step(1))), HELD, 101, "preparing", id="new after dying"),
        pytest.param(log((50, JOB), (60, {"kind": "paused"})), HELD, 101, "preparing", id="new after dying paused"),
        pytest.param(log(*STEPS[:4], (190, BEAT)), LATER, 191, "preparing", id="a new engine that only beats yet"),
        pytest.param(log(*STEPS), UNREADABLE, 111, "unknown", id="lock unreadable"),
        pytest.param(log(*STEPS), ELSEWHERE, 111, "unknown", id="another machine's, free"),
        pytest.param(log(*STEPS), ELSEWHERE_HELD, 111, "unknown", id="another machine's, held"),
        pytest.param(log(*STEPS, (111, end("finished"))), ELSEWHERE, 999, "finished", id="another machine's, and over"),
    ],
)  # fmt: skip
def test_state(snapshot: Snapshot, lock: LockInfo, now: float, state: str) -> None:
    assert derive(snapshot, lock, now) == state


class Clocks:
    """The machine's clock, which somebody sets, and one that only goes forward."""

    def __init__(self, now: float = 1000.0) -> None:
        self.wall = self.steady = now

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("jump", [-86400.0, -40.0, 40.0, 5 * 3600.0, 10 * 365 * 86400.0])
@pytest.mark.parametrize("doing", ["stepping", "sampling", "paused"])
def test_a_clock_that_jumps_never_makes_a_run_silent_or_dead(tmp_path: Path, jump: float, doing: str) -> None:
    clocks, run = Clocks(), RunFolder(tmp_path)
    lock = RunLock.acquire(run, acquired_ns=int(clocks.wall * 1e9))
    with lock, EventWriter(run.events_path, clock=lambda: clocks.wall) as events:
        view = RunView(run, lambda: clocks.wall, lambda: clocks.steady)
        events.write("phase", name="loading libraries", state="start")
        events.write("job", job="train", total_steps=1000)
        number = 0

        def work(steps: int) -> str:
            nonlocal number
            for _ in range(steps):
                number += 1
                clocks.pass_(1.0)
                events.write("step", step=number, loss=0.1, seconds=1.0)
            return view.refresh().state

        assert work(10) == "training"
        expected = "training"
        if doing == "sampling":
            events.write("phase", name="sampling", state="start")
        elif doing == "paused":
            events.write("paused", step=number)
            expected = "paused"
        assert view.refresh().state == expected
        clocks.pass_(0.5)
        events.write("heartbeat")
        clocks.wall += jump  # before anybody has read it
        assert view.refresh().state == expected  # at once
        for beat in range(8):
            clocks.pass_(5.0)
            events.write("heartbeat")
            seen = view.refresh()
            assert seen.state == ("silent" if doing == "stepping" and beat >= 6 else expected)
            assert 0 <= seen.time - seen.snapshot.last_event_time < 1
        if doing != "paused":
            assert work(3) == "training"
            assert view.snapshot.doing is None
            left = view.snapshot.seconds_left
            assert left is not None
            assert left < 6 * (1000 - number)  # the jump is not taken for the pace
            clocks.pass_(29.0)
            assert view.refresh().state == "training"
            clocks.pass_(2.0)
            seen = view.refresh()
            assert seen.state == "silent"
            assert seen.time - last_progress(seen.snapshot) == pytest.approx(31.0, abs=0.1)
        assert view.snapshot.worked_seconds < 100


def test_opened_late_it_still_tells_that_nothing_is_happening(tmp_path: Path) -> None:
    clocks, run = Clocks(), RunFolder(tmp_path)
    lock = RunLock.acquire(run, acquired_ns=int(clocks.wall * 1e9))
    with lock, EventWriter(run.events_path, clock=lambda: clocks.wall) as events:
        events.write("phase", name="loading libraries", state="start")
        events.write("step", step=1, seconds=1.0)
        clocks.pass_(31.0)
        assert RunView(run, lambda: clocks.wall, lambda: clocks.steady).refresh().state == "silent"
        clocks.wall -= 5000.0  # and events from the future are simply new
        view = RunView(run, lambda: clocks.wall, lambda: clocks.steady)
        assert view.refresh().state == "training"
        clocks.pass_(31.0)
        assert view.refresh().state == "silent"


def test_a_log_that_is_cut_or_replaced_is_told_anew(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with EventWriter(run.events_path) as events:
        for number in range(1, 51):
            events.write("step", step=number, loss=0.5)
    view = RunView(run)
    first = view.refresh().snapshot
    assert first.step == 50
    whole = run.events_path.read_bytes()
    run.events_path.write_bytes(whole[: len(whole) // 2])
    seen = view.refresh()
    assert 20 < seen.snapshot.step < 30
    assert seen.snapshot is not first
    assert list(seen.snapshot.steps) == list(range(1, seen.snapshot.step + 1))
    run.events_path.write_bytes(b"")
    assert view.refresh().snapshot.step == seen.snapshot.step  # nothing else is known yet
    other = tmp_path / "other"
    other.write_bytes(b'{"v":1,"seq":1,"time":5.0,"kind":"step","step":7}\n' + b" " * len(whole))
    other.replace(run.events_path)
    assert list(view.refresh().snapshot.steps) == [7]
