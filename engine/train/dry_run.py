"""A dry run: the first steps of a training, to see before hours of it that everything works, and how long it will take.

It is the very same training, with the same order and the same noise; it only ends early and keeps nothing but what it
has encoded.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from engine.context import JobContext
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.samplers import find
from engine.plan.saving_times import sample_rounds, validation_rounds
from engine.plan.settings import Settings
from engine.plan.steps import Steps
from engine.train.meter import Meter

if TYPE_CHECKING:
    from engine.train.loop import Outcome, Training

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SECONDS_UP_TO, _MINUTES_UP_TO = 90, 90 * 60


def shortened(steps: Steps, most: int) -> Steps:
    """`steps` of a training that ends after `most` steps, at the latest."""
    total = min(most, steps.total)
    return replace(steps, total=total, epochs=-(-total // steps.steps_per_epoch))


@dataclass
class DryRun:
    """`steps` are done of a training whose length is `whole`. `asked`: all its sample prompts; the first is drawn."""

    context: JobContext
    settings: Settings
    whole: Steps
    steps: int
    asked: Sequence[SamplePrompt]
    device: torch.device
    _moments: list[float] = field(default_factory=lambda: [time.monotonic()])  # the beginning, and each step's end
    _validation_seconds: float = 0.0
    _sample_seconds: float | None = None
    _sample_failed: bool = False

    def over(self, step: int) -> bool:
        return step >= self.steps

    def after_step(self, t: Training, meter: Meter, step: int) -> None:
        """Wait for the step, to know how long it took; validation and a picture after the last one."""
        meter.flush()
        self._moments.append(time.monotonic())
        if not self.over(step):
            return
        if self._validations and t.validation is not None:
            began = time.monotonic()
            t.validation.measure(step, t.predict)
            self._validation_seconds = time.monotonic() - began
        if self._sampling:
            began = time.monotonic()
            self._sample_failed = not t.sample(step, False)
            if not self._sample_failed:
                self._sample_seconds = time.monotonic() - began

    def result(self, outcome: Outcome) -> dict[str, Any]:
        """The job's result; seconds are None where it was stopped before it knew them."""
        complete = outcome.complete and not (self._sample_failed and self.context.stopping)
        peak_bytes = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None
        stopped = f"Stopped after step {outcome.step} of {self.steps}. It was a dry run, so nothing is saved."
        return {
            "dry_run": self.steps,
            "seconds_per_step": round(self.seconds_per_step, 4) if complete else None,
            "estimated_seconds": round(self.estimated_seconds, 1) if complete else None,
            "peak_bytes": peak_bytes,
            "step": outcome.step,
            "total_steps": self.steps,
            "whole_steps": self.whole.total,
            "complete": complete,
            "message": self._message(peak_bytes) if complete else stopped,
        }

    @property
    def seconds_per_step(self) -> float:
        """The median of the steps after the first, which warms up."""
        seconds = [after - before for before, after in zip(self._moments, self._moments[1:], strict=False)]
        return statistics.median(seconds[1:] or seconds)

    @property
    def estimated_seconds(self) -> float:
        """Of the whole training with its samples and validations. What a picture takes goes by its steps and size."""
        rounds = sample_rounds(self.settings, self.whole.steps_per_epoch, self.whole.total)
        pictures = sum(_work(prompt) for prompt in self.asked) / _work(self.asked[0])
        drawing = rounds * pictures * (self._sample_seconds or 0.0)
        return self.whole.total * self.seconds_per_step + drawing + self._validations * self._validation_seconds

    @property
    def _validations(self) -> int:
        return validation_rounds(self.settings, self.whole.steps_per_epoch, self.whole.total)

    @property
    def _sampling(self) -> bool:
        s = self.settings
        return bool(s.sample_every_n_steps or s.sample_every_n_epochs or s.sample_at_first)

    def _message(self, peak_bytes: int | None) -> str:
        count = _NUMBERS[self.steps] if self.steps < len(_NUMBERS) else f"{self.steps:,}"
        went = f"{count.capitalize()} step{'' if self.steps == 1 else 's'} went well"
        each = f"{_exactly(self.seconds_per_step)}{'' if self.steps == 1 else ' each'}"
        whole = "1 step takes" if self.whole.total == 1 else f"{self.whole.total:,} steps take"
        parts = [f"{went}: {each}, so the {whole} about {_about(self.estimated_seconds)}{self._with_samples}."]
        if peak_bytes is not None:
            parts.append(f"At most {peak_bytes / 2**30:.1f} GiB of GPU memory were in use.")
        if self._sample_failed:
            parts.append("But the sample picture could not be made; the warning says why.")
        return " ".join(parts)

    @property
    def _with_samples(self) -> str:
        return " with the samples" if self._sample_seconds is not None else ""


def _work(asked: SamplePrompt) -> int:
    return asked.steps * find(asked.sampler).calls * asked.width * asked.height


def _exactly(seconds: float) -> str:
    """`0.72 s`, `0.0044 s`, `14 s`: two or three digits."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds:.2g} s"


def _about(seconds: float) -> str:
    """`48 s`, `36 min`, `2 h 05 min`."""
    minutes = round(seconds / 60)
    if seconds < _SECONDS_UP_TO:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if seconds < _MINUTES_UP_TO else f"{minutes // 60} h {minutes % 60:02d} min"
