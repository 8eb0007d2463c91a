"""The clock is set while a training runs: hours back, years ahead. Nobody loses sight of it, or a bit of it."""

from __future__ import annotations

import time

import pytest

import engine.__main__ as main_module
from benchmarks import small_run
from engine.runs import control
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.state import Observation, RunView
from tests.faults.conftest import WHOLE, after_step, go_on
from tests.training import Trained, Trainer

HOUR, YEAR = 3600.0, 365 * 24 * 3600.0


class Clock:
    """The clock of everything in this process, `ahead` of the real one by some seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        seconds, nanoseconds = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: seconds() + self.ahead)
        monkeypatch.setattr(time, "time_ns", lambda: nanoseconds() + int(self.ahead * 1e9))
        # its default was bound when the module was read
        monkeypatch.setattr(main_module, "EventWriter", lambda path: EventWriter(path, time.time))


def opened_now(run: RunFolder) -> Observation:
    """The run as somebody sees it who begins to look."""
    return RunView(run, time.time).refresh()


def test_the_clock_jumps_in_the_middle(trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    project = trainer.project()
    run = trainer.prepare(project, **WHOLE)
    clock, view = Clock(monkeypatch), RunView(run, time.time)
    jumps = {3: -HOUR, 5: 10 * YEAR, 7: -12 * YEAR, 9: 0.0}
    seen = []

    def look(step: int) -> None:
        clock.ahead = jumps.get(step, clock.ahead)
        watched, late = view.refresh(), opened_now(run)
        assert (watched.snapshot.seconds_left or 0) >= 0
        seen.append(watched.state)
        # Who comes after a jump and before the next event cannot tell it from a long silence.
        if abs(late.snapshot.last_event_time - time.time()) < HOUR / 2:
            seen.append(late.state)

    for step in range(1, 13):
        after_step(step, lambda step=step: look(step), monkeypatch)  # type: ignore[misc]
    trained = trainer.do(run, project)
    assert trained.end["status"] == "finished"
    assert set(seen) <= {"preparing", "training"}, seen
    assert (len(seen) > 12, seen[-1]) == (True, "training")
    assert (view.refresh().state, opened_now(run).state) == ("finished", "finished")
    assert small_run.differences(run, undisturbed.run) == []


@pytest.mark.parametrize("ahead", [-24 * HOUR, 3 * YEAR])
def test_the_clock_is_another_when_the_run_goes_on(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    project = trainer.project()
    run = trainer.prepare(project, **WHOLE)
    clock = Clock(monkeypatch)
    with monkeypatch.context() as patch:
        after_step(6, lambda: control.send(run, "stop"), patch)
        trained = trainer.do(run, project)
    assert trained.end["status"] == "stopped"
    clock.ahead = ahead
    states = []
    after_step(3, lambda: states.append(opened_now(run).state), monkeypatch)
    sent: list[str] = []
    after_step(2, lambda: sent.append(control.send(run, "checkpoint")), monkeypatch)
    again = go_on(trainer, trained)
    assert again.end["status"] == "finished"
    assert states == ["training"]
    assert [(a["id"], a["result"]) for a in again.of("command") if a["command"] == "checkpoint"] == [(sent[0], "done")]
    assert small_run.differences(run, undisturbed.run) == []
