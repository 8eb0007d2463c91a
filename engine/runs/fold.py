"""Sums up the events of a run: what a dashboard, a list of runs or a follower needs to know, and nothing it could not
work out again from the file.

A log may come from another version, a torn disk or a stranger. Nothing in an event makes this raise: a field of the
wrong type counts as missing, and a step without a number as no step.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from math import isfinite
from typing import TypeVar

from engine.runs.events import Event
from engine.runs.fields import GREATEST_INTEGER
from engine.runs.fields import amount as _amount
from engine.runs.fields import integer as _integer
from engine.runs.fields import number as _number
from engine.runs.fields import object_ as _object
from engine.runs.fields import or_gap as _or_gap
from engine.runs.fields import text as _text
from engine.runs.snapshot import End, Memory, Phase, Sample, Saved, Snapshot, Warned

__all__ = ["FIRST_PHASE", "End", "Memory", "Phase", "Sample", "Saved", "Snapshot", "Warned", "fold"]

FIRST_PHASE = "loading libraries"  # with which every engine begins, before it can say what it will do
LONGEST_QUIET_SECONDS = 30.0  # the heart beats every 5 s: a longer gap is a clock that jumped, or a machine asleep
NAN = math.nan
LATEST = 253402214400.0  # 31 December 9999, in Unix seconds: no calendar goes on from there


def fold(events: Iterable[Event], into: Snapshot | None = None) -> Snapshot:
    """Sum up `events`; with `into`, go on from an earlier sum and return that same object.

    Unknown kinds and damaged fields are passed over: a reader must survive what another version wrote.
    """
    snapshot = into if into is not None else Snapshot()
    step: Event | None = None  # the newest, of which more is to be told than the history
    for event in events:
        when = _number(event.get("time"))
        if when is None or not -LATEST <= when <= LATEST:
            when = snapshot.last_event_time
        if not snapshot.first_event_time:
            snapshot.first_event_time = when
        elif 0.0 < (gap := when - snapshot.last_event_time) <= LONGEST_QUIET_SECONDS:
            snapshot.worked_seconds += gap
        snapshot.last_event_time = when
        kind = event["kind"]
        if kind == "step":
            step = event if _step(snapshot, event, when) else step
        elif (handler := _HANDLERS.get(kind)) is not None:
            if step is not None and kind not in _ASIDE:
                _newest_step(snapshot, step)
                step = None
            handler(snapshot, event, when)
    if step is not None:
        _newest_step(snapshot, step)
    return snapshot


def _job(s: Snapshot, e: Event, when: float) -> None:
    s.job = _text(e.get("job"))
    s.versions = {key: _text(value) for key, value in _object(e.get("versions")).items()}
    s.device = _text(e.get("device"))
    s.settings_sha256 = _text(e.get("settings_sha256"))
    s.pid = _integer(e.get("pid"))
    s.total_steps = max(0, _integer(e.get("total_steps")))
    s.total_epochs = max(0, _integer(e.get("total_epochs")))
    if s.announced or s.end is not None:  # else it is that of the engine whose first phases were told already
        _begin_life(s, when)
    s.announced, s.life_began = True, s.life_began or when


def _begin_life(s: Snapshot, when: float) -> None:
    """A new engine on an old run: what the one before was doing, and how it ended, is over."""
    s.end, s.paused, s.released, s.stepping, s.first_step, s.resumed_from = None, False, False, False, None, None
    s.phases, s.life_began, s.announced = {}, when, False
    s.step_seconds.clear()


def _phase(s: Snapshot, e: Event, when: float) -> None:
    name, state = _text(e.get("name")), _text(e.get("state"))
    if name == FIRST_PHASE and state == "start":
        _begin_life(s, when)
    phase = s.phases.get(name)
    if phase is None or state == "start":
        s.phases.pop(name, None)  # so that a phase that begins again comes last
        phase = s.phases[name] = Phase(name, started=when)
    phase.state, phase.time = state, when
    phase.done = max(0, _integer(e.get("done"), phase.done))
    phase.total = max(0, _integer(e.get("total"), phase.total))
    phase.unit = _text(e.get("unit")) or phase.unit
    if state == "start":
        phase.first = phase.done
    s.words += 1
    phase.word = s.words
    s.worked_at_progress = s.worked_seconds


def _step(s: Snapshot, e: Event, when: float) -> bool:
    """The history's part of a step; False for one without a number. 100,000 of them come at once, so it is short."""
    get = e.get
    step, loss, average, d, seconds = get("step"), get("loss"), get("loss_avg"), get("d"), get("seconds")
    if type(step) is not int or not 1 <= step <= GREATEST_INTEGER:
        return False
    if s.steps and step <= s.steps[-1]:
        _forget_after(s, step - 1)  # an engine that started over without saying so
    if s.first_step is None:
        s.first_step = (step, s.worked_seconds)
    s.steps.append(step)
    s.losses.append(loss if type(loss) is float and isfinite(loss) else _or_gap(loss))
    s.loss_avgs.append(average if type(average) is float and isfinite(average) else _or_gap(average))
    s.ds.append(d if type(d) is float and isfinite(d) else _or_gap(d))
    rates = get("lr")
    s.lrs.append(_or_gap(next(iter(rates.values()))) if type(rates) is dict and rates else NAN)
    if type(seconds) is float and 0.0 <= seconds < math.inf:
        s.step_seconds.append(seconds)
    s.words += 1
    s.step_word = s.words
    s.last_step_time = when
    s.worked_at_step = s.worked_at_progress = s.worked_seconds
    return True


def _newest_step(s: Snapshot, e: Event) -> None:
    s.stepping = True
    s.step, s.epoch, s.epoch_step = _integer(e.get("step")), _integer(e.get("epoch")), _integer(e.get("epoch_step"))
    s.loss, s.loss_avg, s.d = _number(e.get("loss")), _number(e.get("loss_avg")), _number(e.get("d"))
    s.lr = {key: number for key, value in _object(e.get("lr")).items() if (number := _number(value)) is not None}
    s.grad_norm, s.images_per_second = _number(e.get("grad_norm")), _number(e.get("images_per_second"))


def _validation(s: Snapshot, e: Event, when: float) -> None:
    step = _integer(e.get("step"))
    if s.validation and s.validation[-1][0] == step:  # told again
        s.validation.pop()
    s.validation.append((step, _number(e.get("loss"))))


def _gpu(s: Snapshot, e: Event, when: float) -> None:
    s.gpu_event = e


def _heartbeat(s: Snapshot, e: Event, when: float) -> None:
    s.heartbeat = e


def _sample(s: Snapshot, e: Event, when: float) -> None:
    sample = Sample(
        _integer(e.get("step")),
        _text(e.get("path")),
        _text(e.get("prompt")),
        _amount(e.get("seed")),
        _number(e.get("weight")),
        e.get("asked") is True,
    )
    s.samples = _with(s.samples, sample)


def _saved(s: Snapshot, e: Event, when: float) -> None:
    s.saved = _with(s.saved, _file(e))


def _saved_removed(s: Snapshot, e: Event, when: float) -> None:
    path = _text(e.get("path"))
    s.saved = [saved for saved in s.saved if saved.path != path]


def _checkpoint(s: Snapshot, e: Event, when: float) -> None:
    s.checkpoints = _with(s.checkpoints, _file(e))


def _checkpoint_removed(s: Snapshot, e: Event, when: float) -> None:
    path = _text(e.get("path"))
    s.checkpoints = [checkpoint for checkpoint in s.checkpoints if checkpoint.path != path]


def _warning(s: Snapshot, e: Event, when: float) -> None:
    code = _text(e.get("code")) or _text(e.get("kind"))
    change = e.get("change")
    s.warnings.append(
        Warned(
            when,
            code,
            _text(e.get("message")),
            _change(change) if isinstance(change, dict) else _text(change),
            _amount(e.get("step")),
        )
    )


def _command(s: Snapshot, e: Event, when: float) -> None:
    s.answers[_text(e.get("id"))] = (_text(e.get("command")), _text(e.get("result")), _text(e.get("message")))


def _paused(s: Snapshot, e: Event, when: float) -> None:
    s.paused, s.released = True, e.get("released") is True


def _resumed(s: Snapshot, e: Event, when: float) -> None:
    s.paused = s.released = False
    s.last_step_time, s.first_step = when, None  # the pause was no step
    s.worked_at_progress = s.worked_seconds
    if (step := _amount(e.get("from_step"))) is not None:
        s.resumed_from = step
        _forget_after(s, step)


def _end(s: Snapshot, e: Event, when: float) -> None:
    s.paused = s.released = False
    fields = (_text(e.get(name)) for name in ("status", "message", "output", "code", "hint"))
    s.end = End(when, *fields)


_HANDLERS: dict[str, Callable[[Snapshot, Event, float], None]] = {
    "gpu": _gpu,
    "heartbeat": _heartbeat,
    "job": _job,
    "phase": _phase,
    "validation": _validation,
    "sample": _sample,
    "saved": _saved,
    "saved-removed": _saved_removed,
    "checkpoint": _checkpoint,
    "checkpoint-removed": _checkpoint_removed,
    "warning": _warning,
    "oom": _warning,
    "command": _command,
    "paused": _paused,
    "resumed": _resumed,
    "end": _end,
}
_ASIDE = frozenset({"gpu", "heartbeat"})  # say nothing of the steps


def _forget_after(s: Snapshot, step: int) -> None:
    """Drop everything that was said of later steps: an engine is about to do them again."""
    kept = bisect_right(s.steps, step)
    if kept < len(s.steps):
        for history in (s.steps, s.losses, s.loss_avgs, s.lrs, s.ds):
            del history[kept:]
        s.rewound += 1
        s.loss, s.loss_avg, s.d = (_last(history) for history in (s.losses, s.loss_avgs, s.ds))
        s.grad_norm = None
        s.step_seconds.clear()
        there = (saved.epoch for saved in s.checkpoints if saved.step == step and saved.epoch)
        s.epoch, s.epoch_step = next(there, s.epoch if kept else 0), 0
    s.validation = [point for point in s.validation if point[0] <= step]
    s.samples = [sample for sample in s.samples if sample.step <= step]
    s.saved = [saved for saved in s.saved if saved.step <= step]
    s.checkpoints = [checkpoint for checkpoint in s.checkpoints if checkpoint.step <= step]
    s.step = min(s.step, step)


_File = TypeVar("_File", Sample, Saved)


def _with(files: list[_File], new: _File) -> list[_File]:
    """`files` and the new one; an older entry of the same path is gone, since its file was written over."""
    if new.path and any(file.path == new.path for file in reversed(files)):
        files = [file for file in files if file.path != new.path]
    files.append(new)
    return files


def _file(e: Event) -> Saved:
    epoch, seconds = _amount(e.get("epoch")), _number(e.get("seconds"))
    return Saved(_text(e.get("path")), _integer(e.get("step")), epoch, max(0, _integer(e.get("bytes"))), seconds)


def _last(history: Iterable[float]) -> float | None:
    """The last number of a history, None where it is a gap or there is none."""
    return _number(history[-1]) if history else None  # type: ignore[index]


def _change(change: Event) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in change.items())
