"""A run at one moment, as its events tell it: the object that `engine.runs.fold` fills and everything that shows a run
reads.
"""

from __future__ import annotations

import statistics
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from engine.runs.fields import amount, number

STEPS_KEPT = 20  # whose seconds tell the usual ones; the median shrugs off a single slow step
GPU_FIELDS = ("used_bytes", "total_bytes", "peak_bytes", "utilisation", "celsius", "watts")
MEMORY_FIELDS = ("rss_bytes", "peak_rss_bytes", "ram_used_bytes", "ram_total_bytes", "disk_free_bytes")


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
    first: int = 0  # what was done when it started
    word: int = 0  # the `words` of the snapshot when it was last spoken of

    @property
    def open(self) -> bool:
        return self.state != "end"


@dataclass(frozen=True)
class Sample:
    """A picture made on the way. `asked`: by the command `sample`, not by the settings."""

    step: int
    path: str
    prompt: str
    seed: int | None
    weight: float | None
    asked: bool = False


@dataclass(frozen=True)
class Saved:
    """A LoRA in `output/`, or a checkpoint to go on from; `seconds` is what writing it took, where that was told."""

    path: str
    step: int
    epoch: int | None
    bytes: int
    seconds: float | None = None


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


@dataclass(frozen=True)
class Memory:
    """The newest heartbeat's figures in bytes; None where it did not say. `rss` is the engine's own memory, `ram` the
    machine's, `disk` that of the run folder.
    """

    time: float = 0.0
    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    ram_used_bytes: int | None = None
    ram_total_bytes: int | None = None
    disk_free_bytes: int | None = None


def _integers() -> array[int]:
    return array("q")


def _numbers() -> array[float]:
    return array("d")


@dataclass
class Snapshot:
    """A run as its events tell it. Times are Unix seconds, paths relative to the run folder.

    `steps`, `losses`, `loss_avgs`, `lrs` and `ds` run side by side and hold the whole history; what a resumed engine
    took back is gone from them. `steps` rises; a figure that was missing or no number is NaN. They only ever grow at
    the end, except when `rewound` changes.
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
    steps: array[int] = field(default_factory=_integers)
    losses: array[float] = field(default_factory=_numbers)
    loss_avgs: array[float] = field(default_factory=_numbers)
    lrs: array[float] = field(default_factory=_numbers)  # of the first group
    ds: array[float] = field(default_factory=_numbers)
    rewound: int = 0  # how often steps were taken back
    validation: list[tuple[int, float | None]] = field(default_factory=list)
    gpu_event: dict[str, Any] = field(default_factory=dict)  # the newest of its kind, as it was written
    heartbeat: dict[str, Any] = field(default_factory=dict)

    phases: dict[str, Phase] = field(default_factory=dict)  # of this engine's life, in the order they began
    samples: list[Sample] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    checkpoints: list[Saved] = field(default_factory=list)  # those that were not removed again
    warnings: list[Warned] = field(default_factory=list)
    answers: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # id -> command, result, message
    paused: bool = False
    released: bool = False  # paused, with the GPU's memory given back
    resumed_from: int | None = None  # step from which this engine went on
    end: End | None = None

    first_event_time: float = 0.0
    last_event_time: float = 0.0
    last_step_time: float = 0.0
    worked_seconds: float = 0.0  # of all engines together; a clock that jumps and breaks between engines do not count
    worked_at_step: float = 0.0  # `worked_seconds` at the last step
    worked_at_progress: float = 0.0  # and when the engine last showed that it gets on
    step_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=STEPS_KEPT))  # of the last steps
    life_began: float = 0.0  # when this engine wrote its first event
    announced: bool = False  # this engine has written its `job`
    stepping: bool = False  # this engine has done a step
    words: int = 0  # events that told of progress: steps and phases
    step_word: int = 0  # `words` at the last step
    first_step: tuple[int, float] | None = None  # step and `worked_seconds` of the first since it began or resumed

    @property
    def validation_loss(self) -> float | None:
        """The newest one; None before the first, and where it was no number."""
        return self.validation[-1][1] if self.validation else None

    @property
    def phase(self) -> Phase | None:
        """The phase the engine is in: the one begun last that has not ended."""
        return next((phase for phase in reversed(self.phases.values()) if phase.open), None)

    @property
    def gpu(self) -> dict[str, Any]:
        """The newest figures of the card: numbers, or None for those it did not say; empty before the first."""
        return {name: number(self.gpu_event.get(name)) for name in GPU_FIELDS} if self.gpu_event else {}

    @property
    def memory(self) -> Memory:
        """The newest heartbeat's figures."""
        beat = self.heartbeat
        return Memory(number(beat.get("time")) or 0.0, *(amount(beat.get(name)) for name in MEMORY_FIELDS))

    @property
    def doing(self) -> Phase | None:
        """The phase that keeps the engine from steps now, e.g. sampling; None while it trains, step after step."""
        phase = self.phase
        return phase if phase is not None and (not self.stepping or phase.word > self.step_word) else None

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
        steps, seconds = self.step - self.first_step[0], self.worked_at_step - self.first_step[1]
        return max(0.0, max(self.usual_gap, seconds / steps) * (self.total_steps - self.step))
