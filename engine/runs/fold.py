"""Sums up the events of a run: what a dashboard, a list of runs or a follower needs to know, and nothing it could not
work out again from the file.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from engine.runs.events import Event

FIRST_PHASE = "loading libraries"  # with which every engine begins, before it can say what it will do
STEPS_KEPT = 20  # whose seconds tell the usual ones; the median shrugs off a single slow step


@dataclass
class Phase:
    """One phase of a job, e.g. caching latents: `done` of `total` `unit`s; `total` 0 means that nobody knows."""

    name: str
    state: str = "start"
    done: int = 0
    total: int = 0
    unit: str = ""
    started: float = 0.0
    time: float = 0.0

    @property
    def open(self) -> bool:
        return self.state != "end"


@dataclass(frozen=True)
class Sample:
    step: int
    path: str
    prompt: str
    seed: int | None
    weight: float | None


@dataclass(frozen=True)
class Saved:
    """A LoRA in `output/` (`epoch` set) or a checkpoint to go on from (`epoch` None)."""

    path: str
    step: int
    epoch: int | None
    bytes: int


@dataclass(frozen=True)
class Warned:
    """A `warning` or `oom` event."""

    time: float
    code: str
    message: str
    change: str
    step: int | None = None


@dataclass(frozen=True)
class End:
    time: float
    status: str
    message: str
    output: str
    code: str
    hint: str


@dataclass
class Snapshot:
    """A run as its events tell it. Times are Unix seconds, paths relative to the run folder.

    `steps` and `losses` run side by side and hold the whole history; what a resumed engine took back is gone from them.
    """

    job: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    settings_sha256: str = ""
    pid: int = 0
    total_steps: int = 0
    total_epochs: int = 0

    step: int = 0
    epoch: int = 0
    epoch_step: int = 0
    loss: float | None = None
    loss_avg: float | None = None
    lr: dict[str, float] = field(default_factory=dict)
    d: float | None = None
    grad_norm: float | None = None
    images_per_second: float | None = None
    steps: list[int] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    validation: list[tuple[int, float | None]] = field(default_factory=list)
    gpu: Event = field(default_factory=dict)

    phases: dict[str, Phase] = field(default_factory=dict)  # of this engine's life, in the order they began
    samples: list[Sample] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    checkpoints: list[Saved] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    answers: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # id -> command, result, message
    paused: bool = False
    end: End | None = None

    first_event_time: float = 0.0
    last_event_time: float = 0.0
    last_step_time: float = 0.0
    step_seconds: list[float] = field(default_factory=list)  # of the last steps
    life_began: float = 0.0  # when this engine wrote its first event
    announced: bool = False  # this engine has written its `job`
    stepping: bool = False  # this engine has done a step
    first_step: tuple[int, float] | None = None  # step and time of the first one since this engine began or resumed

    @property
    def phase(self) -> Phase | None:
        """The phase the engine is in: the one begun last that has not ended."""
        return next((phase for phase in reversed(self.phases.values()) if phase.open), None)

    @property
    def usual_gap(self) -> float:
        """Median seconds of a step, from what the steps say: their events are written several at a time, so the times
        of these would not tell. 0.0 before the first.
        """
        return statistics.median(self.step_seconds) if self.step_seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the last step at the pace of this engine's life, with its samples and saves; None while unknown."""
        if self.first_step is None or self.step <= self.first_step[0] or not self.total_steps:
            return None
        pace = max(self.usual_gap, (self.last_step_time - self.first_step[1]) / (self.step - self.first_step[0]))
        return max(0.0, pace * (self.total_steps - self.step))


def fold(events: Iterable[Event], into: Snapshot | None = None) -> Snapshot:
    """Sum up `events`; with `into`, go on from an earlier sum and return that same object.

    Unknown kinds and damaged fields are passed over: a reader must survive what another version wrote.
    """
    snapshot = into if into is not None else Snapshot()
    for event in events:
        when = _number(event.get("time")) or 0.0
        snapshot.first_event_time = snapshot.first_event_time or when
        snapshot.last_event_time = when
        handler = _HANDLERS.get(event["kind"])
        if handler is not None:
            handler(snapshot, event, when)
    return snapshot


def _job(s: Snapshot, e: Event, when: float) -> None:
    s.job = _text(e.get("job"))
    s.versions = {key: _text(value) for key, value in _object(e.get("versions")).items()}
    s.device = _text(e.get("device"))
    s.settings_sha256 = _text(e.get("settings_sha256"))
    s.pid = _integer(e.get("pid"))
    s.total_steps = _integer(e.get("total_steps"))
    s.total_epochs = _integer(e.get("total_epochs"))
    if s.announced or s.end is not None:  # else it is that of the engine whose first phases were told already
        _begin_life(s, when)
    s.announced, s.life_began = True, s.life_began or when


def _begin_life(s: Snapshot, when: float) -> None:
    """A new engine on an old run: what the one before was doing, and how it ended, is over."""
    s.end, s.paused, s.stepping, s.first_step = None, False, False, None
    s.phases, s.step_seconds, s.life_began, s.announced = {}, [], when, False


def _phase(s: Snapshot, e: Event, when: float) -> None:
    name, state = _text(e.get("name")), _text(e.get("state"))
    if name == FIRST_PHASE and state == "start":
        _begin_life(s, when)
    phase = s.phases.get(name)
    if phase is None or state == "start":
        s.phases.pop(name, None)  # so that a phase that begins again comes last
        phase = s.phases[name] = Phase(name, started=when)
    phase.state, phase.time = state, when
    phase.done = _integer(e.get("done"), phase.done)
    phase.total = _integer(e.get("total"), phase.total)
    phase.unit = _text(e.get("unit")) or phase.unit


def _step(s: Snapshot, e: Event, when: float) -> None:
    step = _integer(e.get("step"))
    if s.steps and step <= s.steps[-1]:
        _forget_after(s, step - 1)  # an engine that started over without saying so
    if s.first_step is None:
        s.first_step = (step, when)
    if (seconds := _number(e.get("seconds"))) is not None:
        s.step_seconds = [*s.step_seconds[-STEPS_KEPT + 1 :], seconds]
    s.stepping = True
    s.step, s.epoch, s.epoch_step = step, _integer(e.get("epoch")), _integer(e.get("epoch_step"))
    s.loss, s.loss_avg = _number(e.get("loss")), _number(e.get("loss_avg"))
    s.lr = {key: number for key, value in _object(e.get("lr")).items() if (number := _number(value)) is not None}
    s.d, s.grad_norm = _number(e.get("d")), _number(e.get("grad_norm"))
    s.images_per_second = _number(e.get("images_per_second"))
    s.steps.append(step)
    s.losses.append(s.loss)
    s.last_step_time = when


def _validation(s: Snapshot, e: Event, when: float) -> None:
    s.validation.append((_integer(e.get("step")), _number(e.get("loss"))))


def _gpu(s: Snapshot, e: Event, when: float) -> None:
    s.gpu = e


def _sample(s: Snapshot, e: Event, when: float) -> None:
    seed = e.get("seed")
    s.samples.append(
        Sample(
            _integer(e.get("step")),
            _text(e.get("path")),
            _text(e.get("prompt")),
            seed if isinstance(seed, int) else None,
            _number(e.get("weight")),
        )
    )


def _saved(s: Snapshot, e: Event, when: float) -> None:
    s.saved.append(
        Saved(_text(e.get("path")), _integer(e.get("step")), _integer(e.get("epoch")), _integer(e.get("bytes")))
    )


def _checkpoint(s: Snapshot, e: Event, when: float) -> None:
    s.checkpoints.append(Saved(_text(e.get("path")), _integer(e.get("step")), None, _integer(e.get("bytes"))))


def _warning(s: Snapshot, e: Event, when: float) -> None:
    step = e.get("step")
    code = _text(e.get("code")) or _text(e.get("kind"))
    where = step if isinstance(step, int) else None
    s.warnings.append(Warned(when, code, _text(e.get("message")), _text(e.get("change")), where))


def _command(s: Snapshot, e: Event, when: float) -> None:
    s.answers[_text(e.get("id"))] = (_text(e.get("command")), _text(e.get("result")), _text(e.get("message")))


def _paused(s: Snapshot, e: Event, when: float) -> None:
    s.paused = True


def _resumed(s: Snapshot, e: Event, when: float) -> None:
    s.paused = False
    s.last_step_time, s.first_step = when, None  # the pause was no step
    if isinstance(e.get("from_step"), int):
        _forget_after(s, e["from_step"])


def _end(s: Snapshot, e: Event, when: float) -> None:
    s.paused = False
    fields = (_text(e.get(name)) for name in ("status", "message", "output", "code", "hint"))
    s.end = End(when, *fields)


_HANDLERS: dict[str, Callable[[Snapshot, Event, float], None]] = {
    "job": _job,
    "phase": _phase,
    "step": _step,
    "validation": _validation,
    "gpu": _gpu,
    "sample": _sample,
    "saved": _saved,
    "checkpoint": _checkpoint,
    "warning": _warning,
    "oom": _warning,
    "command": _command,
    "paused": _paused,
    "resumed": _resumed,
    "end": _end,
}  # `heartbeat` only moves last_event_time


def _forget_after(s: Snapshot, step: int) -> None:
    """Drop everything that was said of later steps: an engine is about to do them again."""
    kept = bisect_right(s.steps, step)
    if kept < len(s.steps):
        del s.steps[kept:], s.losses[kept:]
        s.loss = s.losses[-1] if s.losses else None
        s.loss_avg = s.d = s.grad_norm = None
    del s.validation[bisect_left(s.validation, step + 1, key=lambda point: point[0]) :]
    s.samples = [sample for sample in s.samples if sample.step <= step]
    s.saved = [saved for saved in s.saved if saved.step <= step]
    s.checkpoints = [checkpoint for checkpoint in s.checkpoints if checkpoint.step <= step]
    s.step = min(s.step, step)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value):  # json.loads takes the NaN of foreign writers
        return float(value)
    return None


def _integer(value: object, otherwise: int = 0) -> int:
    return value if isinstance(value, int) else otherwise


def _object(value: object) -> Event:
    return value if isinstance(value, dict) else {}
