"""Figures of the steps, left on the device and fetched together a few times a second.

Reading one number from a GPU makes the program wait for everything queued before it. So a step only puts its figures
aside; `flush` reads those of many steps with one wait, and writes their `step` events.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from engine import device as devices
from engine.context import JobContext
from engine.plan.errors import UserError

FLUSH_SECONDS = 0.5
FLUSH_STEPS = 100
AVERAGED_STEPS = 100
GPU_SECONDS = 1.0


@dataclass(frozen=True)
class StepFacts:
    """What is known of a step without asking the device; `figures` (2,): loss and gradient norm, still on it."""

    step: int
    epoch: int
    epoch_step: int
    lr: float
    d: float | None
    images: int
    figures: Tensor


class Meter:
    def __init__(self, context: JobContext, device: torch.device) -> None:
        self._context, self._device = context, device
        self._waiting: list[StepFacts] = []
        self._recent: deque[float] = deque(maxlen=AVERAGED_STEPS)
        self._last_flush = time.monotonic()
        self._last_gpu = 0.0
        self.last_saved = "none yet"

    def add(self, facts: StepFacts) -> None:
        self._waiting.append(facts)
        if len(self._waiting) >= FLUSH_STEPS or time.monotonic() - self._last_flush >= FLUSH_SECONDS:
            self.flush()

    def resume_clock(self) -> None:
        """Call after sampling or saving, so that their time is not counted as the steps'."""
        self._last_flush = time.monotonic()

    def flush(self) -> None:
        """Write the events of all waiting steps. Raises UserError when a loss is not a number any more."""
        if not self._waiting:
            return
        rows = torch.stack([facts.figures for facts in self._waiting]).tolist()  # the one wait
        now = time.monotonic()
        seconds = (now - self._last_flush) / len(self._waiting)
        self._last_flush = now
        for facts, (loss, norm) in zip(self._waiting, rows, strict=True):
            finite = math.isfinite(loss)
            if finite:
                self._recent.append(loss)
            self._context.emit(
                "step",
                step=facts.step,
                epoch=facts.epoch,
                epoch_step=facts.epoch_step,
                loss=loss,
                loss_avg=sum(self._recent) / len(self._recent) if self._recent else None,
                lr={"unet": facts.lr},
                d=facts.d,
                grad_norm=norm,
                seconds=round(seconds, 4),
                images_per_second=round(facts.images / max(seconds, 1e-9), 3),
            )
            if not finite:
                raise UserError(
                    "loss-not-finite",
                    f"At step {facts.step} the loss was no number any more, so training stopped; "
                    f"the last good LoRA is {self.last_saved}.",
                    "Use mixed_precision bf16 instead of fp16, or a lower learning rate.",
                )
        self._waiting.clear()
        if self._device.type == "cuda" and now - self._last_gpu >= GPU_SECONDS:
            self._last_gpu = now
            self._context.emit("gpu", **devices.gpu_facts(self._device))
