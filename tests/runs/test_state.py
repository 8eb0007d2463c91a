"""The table of states, row by row. The lock is looked at first, the log after it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.runs.fold import Snapshot, fold
from engine.runs.lock import LockInfo
from engine.runs.state import derive

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
