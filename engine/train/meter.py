"""Figures of the steps: left on the device, fetched together a few times a second, and never waited for.

Reading one number from a GPU makes the program wait for everything queued before it. So a step only puts its figures
aside. Now and then those of many steps are copied to pinned memory in the background, and their `step` events are
written once the copy has arrived. `flush` waits: before a save, before samples and at the end.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine import device as devices
from engine.context import JobContext
from engine.plan.errors import UserError

FETCH_SECONDS = 0.5
FETCH_STEPS = 100
AVERAGED_STEPS = 100
GPU_SECONDS = 1.0


@dataclass(frozen=True)
class StepFacts:
    """What is known of a step without asking the device; `figures` (2,): loss and gradient norm, still on it.

    `lr`: the rate of each part that is trained. `samples`: the numbers of the pictures that were learnt from.
    """

    step: int
    epoch: int
    epoch_step: int
    lr: Mapping[str, float]
    d: float | None
    images: int
    figures: Tensor
    samples: Sequence[int] = ()


@dataclass(frozen=True)
class _Fetch:
    """Figures on their way to the host: `rows` (n, 2) are whole once `arrived` says so (None: they already are)."""

    steps: list[StepFacts]
    rows: Tensor
    arrived: torch.cuda.Event | None
    seconds: float


class Meter:
    """`scaled`: gradients are scaled as fp16 needs it; the scaler then skips steps whose gradient is not finite.

    `recent`: losses before this engine's first step, over which the average goes on. `named` says of samples, by their
    numbers, which pictures and captions they are.
    """

    def __init__(
        self,
        context: JobContext,
        device: torch.device,
        scaled: bool = False,
        recent: Sequence[float] = (),
        named: Callable[[Sequence[int]], str] = lambda _: "",
    ) -> None:
        self._context, self._device, self._scaled = context, device, scaled
        self._named = named
        self._waiting: list[StepFacts] = []
        self._fetches: deque[_Fetch] = deque()
        self._recent: deque[float] = deque(recent, maxlen=AVERAGED_STEPS)
        self._last_fetch = time.monotonic()
        self._last_gpu = 0.0
        self.last_saved = "none yet"

    @property
    def recent(self) -> list[float]:
        """The losses that `loss_avg` goes over; after `flush` those up to the last step."""
        return list(self._recent)

    def add(self, facts: StepFacts) -> None:
        """Take a step's figures; writes the events of earlier ones that have arrived.

        Raises UserError when a loss or a gradient is not a number any more.
        """
        self._waiting.append(facts)
        if len(self._waiting) >= FETCH_STEPS or time.monotonic() - self._last_fetch >= FETCH_SECONDS:
            self._fetch()
        while self._fetches and (self._fetches[0].arrived is None or self._fetches[0].arrived.query()):
            self._report(self._fetches.popleft())

    def flush(self) -> None:
        """Wait for all figures and write their events."""
        self._fetch()
        while self._fetches:
            fetch = self._fetches.popleft()
            if fetch.arrived is not None:
                fetch.arrived.synchronize()
            self._report(fetch)

    def start_over(self, recent: Sequence[float]) -> None:
        """The steps that were not told yet are done anew, on top of `recent` losses."""
        self._waiting, self._fetches = [], deque()
        self._recent = deque(recent, maxlen=AVERAGED_STEPS)
        self.resume_clock()

    def resume_clock(self) -> None:
        """Call after sampling or saving, so that their time is not counted as the steps'."""
        self._last_fetch = time.monotonic()

    def _fetch(self) -> None:
        if not self._waiting:
            return
        now = time.monotonic()
        seconds = (now - self._last_fetch) / len(self._waiting)
        self._last_fetch = now
        rows, arrived = torch.stack([facts.figures for facts in self._waiting]), None
        if rows.device.type == "cuda":
            rows = torch.empty(rows.shape, pin_memory=True).copy_(rows, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self._fetches.append(_Fetch(self._waiting, rows, arrived, seconds))
        self._waiting = []

    def _report(self, fetch: _Fetch) -> None:
        for facts, (loss, norm) in zip(fetch.steps, fetch.rows.tolist(), strict=True):
            if math.isfinite(loss):
                self._recent.append(loss)
            self._context.emit(
                "step",
                step=facts.step,
                epoch=facts.epoch,
                epoch_step=facts.epoch_step,
                loss=loss,
                loss_avg=sum(self._recent) / len(self._recent) if self._recent else None,
                lr=facts.lr,
                d=facts.d,
                grad_norm=norm,
                seconds=round(fetch.seconds, 4),
                images_per_second=round(facts.images / max(fetch.seconds, 1e-9), 3),
            )
            if not math.isfinite(loss) or not (self._scaled or math.isfinite(norm)):
                what = "gradient" if math.isfinite(loss) else "loss"
                raise UserError(
                    "loss-not-finite",
                    f"At step {facts.step}{self._named(facts.samples)} the {what} was no number any more, so training "
                    f"stopped; the last good LoRA is {self.last_saved}.",
                    "Use mixed_precision bf16 instead of fp16, or a lower learning rate.",
                )
        if self._device.type == "cuda" and time.monotonic() - self._last_gpu >= GPU_SECONDS:
            self._last_gpu = time.monotonic()
            self._context.emit("gpu", **devices.gpu_facts(self._device))
