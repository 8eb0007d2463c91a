"""What a training on an NVIDIA GPU was predicted to need and what it did, kept for later predictions.

PyTorch tells one peak of the whole process. It is read wherever another part of the work begins or ends, so that it is
known which part it belongs to: it is held against the prediction of that very part. Encoding pictures and captions
teaches nothing, as nobody knows how much of it was in the cache; neither do samples that had no room as a whole.

Never run on a GPU so far; the tests stand a driver in for one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeVar

import torch

from engine.plan.memory import CUDA_CONTEXT_BYTES, bill_of, largest_sample
from engine.plan.order import Batch, epoch_batches, optimizer_steps
from engine.plan.real_batches import Batch as RealBatch
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.settings import Settings
from engine.runs.memory_seen import remember

if TYPE_CHECKING:
    from engine.generate.sampler import Sampler
    from engine.plan.dataset import Picture

STEPS_TO_KNOW = 2
"""In the first step the optimizer has not made its states yet."""

Part = Literal["training", "sampling"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Reading:
    """The most that was reserved, in bytes, up to `step`, and the part that took it last; None: one that is not
    predicted."""

    reserved: int
    part: Part | None
    step: int


class PeakWatch:
    """Made just before the steps begin, so that what was before them is told apart. `start`: the step that this
    process goes on from."""

    def __init__(
        self, settings: Settings, size: Literal["sdxl", "micro"], device: torch.device, start: int = 0
    ) -> None:
        self._settings, self._device, self._start = settings, device, start
        self._on = device.type == "cuda" and size == "sdxl"
        self._now = Reading(0, None, start)
        self._training: Reading | None = None  # before the first picture was drawn: of the steps alone
        self._read(None, start)

    def around_samples(
        self, make: Callable[[int, bool], bool], sampler: Sampler, drawn: Sequence[SamplePrompt]
    ) -> Callable[[int, bool], bool]:
        """`make(step, again)`, which draws the training's own samples, with the peak read before and after it."""
        as_predicted = _area_of(drawn) == _area(largest_sample(self._settings))

        def made(step: int, again: bool) -> bool:
            self._before_a_picture(step)
            there = make(step, again)
            whole = there and not again and as_predicted and sampler.tile is None
            self._read("sampling" if whole and self._knows(step) else None, step)
            return there

        return made

    def around_asked(
        self, make: Callable[[int, str | None, int | None, str], Result]
    ) -> Callable[[int, str | None, int | None, str], Result]:
        """`make(step, …)`, which draws what somebody wants to see, of any size: nothing that was predicted."""

        def made(step: int, prompt: str | None, seed: int | None, name: str) -> Result:
            self._before_a_picture(step)
            try:
                return make(step, prompt, seed, name)
            finally:
                self._read(None, step)

        return made

    def remember(self, pictures: Sequence[Picture], step: int, processes: int = 1) -> None:
        """The training is over after `step`: keep what it took beside what was predicted of it. `pictures`: those that
        it was of."""
        if not self._on:
            return
        self._read("training" if self._knows(step) else None, step)
        seen = self._training or self._now
        if seen.part is None:
            return
        with _never_worth_a_training():
            batches = batches_seen(pictures, self._settings, self._start, seen.step, processes)
            predicted = bill_of(self._settings, batches).phases[seen.part]
            remember(torch.cuda.get_device_name(self._device), predicted, seen.reserved + CUDA_CONTEXT_BYTES)

    def _before_a_picture(self, step: int) -> None:
        self._read("training" if self._knows(step) else None, step)
        if self._training is None and self._now.part == "training":
            self._training = self._now

    def _knows(self, step: int) -> bool:
        return step - self._start >= STEPS_TO_KNOW

    def _read(self, part: Part | None, step: int) -> None:
        """PyTorch knows all that it took from the driver, which holes between tensors are part of; what the driver took
        for itself is set as the prediction sets it."""
        if not self._on:
            return
        with _never_worth_a_training():
            reserved = torch.cuda.max_memory_reserved(self._device)
            if reserved > self._now.reserved:
                self._now = Reading(reserved, part, step)


def batches_seen(
    pictures: Sequence[Picture], settings: Settings, first: int, last: int, processes: int = 1
) -> set[RealBatch]:
    """What a process had at once in the steps after `first`, up to `last`. A training that ended early may not have
    come to its largest pictures."""
    seen = islice(_groups(pictures, settings, first, processes), last - first)
    return {(pictures[batch[0]].bucket, -(-len(batch) // processes)) for group in seen for batch in group}


def _groups(pictures: Sequence[Picture], settings: Settings, first: int, processes: int) -> Iterator[list[Batch]]:
    """The batches of each step after `first`, of one whole epoch at most and what is left of the one begun."""
    epoch, size = 1, settings.train_batch_size * processes

    def steps(epoch: int) -> list[list[Batch]]:
        order = epoch_batches(pictures, size, settings.seed, epoch)
        return optimizer_steps(order, settings.gradient_accumulation_steps)

    per_epoch = len(steps(epoch))
    epoch = first // per_epoch + 1
    yield from steps(epoch)[first % per_epoch :]
    yield from steps(epoch + 1)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _area_of(prompts: Iterable[SamplePrompt]) -> int:
    return max((prompt.width * prompt.height for prompt in prompts), default=0)


@contextlib.contextmanager
def _never_worth_a_training() -> Iterator[None]:
    try:
        yield
    except Exception:
        logging.getLogger(__name__).exception("The memory that was needed could not be kept")
