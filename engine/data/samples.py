"""The prepared data set in memory, and batches out of it.

Everything stays on the CPU until a step needs it. Where a latent is sampled and which noise it gets is decided by
`train.noise`, which words stand for its caption by `plan.caption_draws`, from seed, step and position alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.data.text_source import BatchTexts, TextSource

if TYPE_CHECKING:
    from engine.plan.dataset import Picture


@dataclass(frozen=True)
class Sample:
    """One picture, encoded. Latent `mean`, `std`: (4, h, w), unscaled; `caption`: its `Picture.words`;
    `time_ids` (6,): original height and width, crop top and left, target height and width; `weight` of its loss."""

    mean: Tensor
    std: Tensor
    caption: str
    time_ids: Tensor
    weight: float


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass needs, on the training device.

    latents (B, 4, h, w) scaled by the VAE's factor, noise of the same shape (the target), timesteps (B,) int64,
    texts: encoded in the step or before; time_ids (B, 6), weights (B,). `positions`: the samples' places in the
    optimizer step `step`.
    """

    step: int
    positions: range

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    texts: BatchTexts
    time_ids: Tensor
    weights: Tensor


class Samples:
    """All samples of a run, and what encodes their captions."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        latents: Sequence[tuple[Tensor, Tensor]],
        texts: TextSource,
        conditioning: Sequence[tuple[int, ...]],
        prior_loss_weight: float,
    ) -> None:
        self.pictures = list(pictures)
        self.texts = texts
        self._samples = [
            Sample(
                mean,
                std,
                picture.words,
                torch.tensor(size, dtype=torch.float32),
                prior_loss_weight if picture.kind == "reg" else 1.0,
            )
            for picture, (mean, std), size in zip(pictures, latents, conditioning, strict=True)
        ]

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __len__(self) -> int:
        return len(self._samples)
