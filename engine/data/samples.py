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

from engine.data.class_texts import ClassBatch, ClassTexts
from engine.data.text_source import BatchTexts, TextSource
from engine.plan.buckets import size_conditioning
from engine.plan.draws import happens
from engine.plan.errors import inert
from engine.plan.subjects import Subject

if TYPE_CHECKING:
    from engine.data.latent_source import LatentSource
    from engine.plan.dataset import Picture

SHOWN, SHOWN_CAPTION = 4, 80  # pictures, and characters of a caption, in a sentence
MIRRORED = 0.5
"""How often a picture is mirrored where it may be."""


@dataclass(frozen=True)
class Sample:
    """One picture, encoded. Latent `mean`, `std`: (4, h, w), unscaled; `caption`: its `Picture.words`;
    `time_ids` (6,): original height and width, crop top and left, target height and width; `weight` of its loss;
    `mask` (h, w) 0..1: how much each place counts in it, None where all count alike. `subject`: whom it shows, None
    for the project's."""

    mean: Tensor
    std: Tensor
    caption: str
    time_ids: Tensor
    weight: float
    mask: Tensor | None = None
    subject: Subject | None = None


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass needs, on the training device.

    latents (B, 4, h, w) scaled by the VAE's factor, noise of the same shape (what is to be predicted), timesteps (B,)
    int64, texts: encoded in the step or before; time_ids (B, 6), weights (B,). `positions`: the samples' places in the
    optimizer step `step`. masks (B, h, w): how much each place counts in the loss; None where all count alike.
    input_noise, of the noise's shape: what the U-Net's input is made with, where that is not the same noise. `share`:
    how much its mean loss counts in the batch's, where other processes have the rest of it. plain: the captions without
    the trigger word, where what the model makes of them is to stay as it was.
    """

    step: int
    positions: range

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    texts: BatchTexts
    time_ids: Tensor
    weights: Tensor
    masks: Tensor | None = None
    input_noise: Tensor | None = None
    share: float = 1.0
    plain: ClassBatch | None = None


class Samples:
    """All samples of a run, and what encodes their captions. With `mirror` half of all draws are mirrored (sd-scripts:
    flip_aug), which ones is a function of `seed`, step and position. `class_texts`: their captions without the trigger
    word, where the model is held to what it drew for those before."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        latents: LatentSource,
        texts: TextSource,
        prior_loss_weight: float,
        *,
        seed: int = 0,
        mirror: bool = False,
        class_texts: ClassTexts | None = None,
    ) -> None:
        self.pictures, self.latents, self.texts, self.class_texts = list(pictures), latents, texts, class_texts
        self._prior_loss_weight = prior_loss_weight
        self._seed, self._mirror = seed, mirror
        self._sizes = _sizes_of(self.pictures)

    def show(self, pictures: Sequence[Picture], latents: LatentSource) -> None:
        """From now on these are seen in place of the pictures, in the same order: the same ones in other sizes.
        `pictures` stays what batches are made of."""
        self.latents, self._sizes = latents, _sizes_of(pictures)

    def drawn(self, indices: Sequence[int], step: int, first_position: int) -> list[Sample]:
        """The samples of a batch at `first_position` and following of optimizer step `step`."""
        return [
            self.at(index, self._mirror and happens(MIRRORED, self._seed, "flip", step, position))
            for position, index in enumerate(indices, start=first_position)
        ]

    def at(self, index: int, mirrored: bool = False) -> Sample:
        """One picture as it is, or mirrored."""
        picture, latent = self.pictures[index], self.latents.latent(index, mirrored)
        return Sample(
            latent.mean,
            latent.std,
            picture.words,
            self._sizes[mirrored][index],
            self._prior_loss_weight if picture.kind == "reg" else 1.0,
            latent.mask,
            self.class_texts.subjects.of_picture(picture.path) if self.class_texts is not None else None,
        )

    def named(self, indices: Sequence[int]) -> str:
        """`, with 3.png ("ohwx, a man") and 5.png ("…") and 2 more`, for a sentence about some of them."""
        chosen = [self.pictures[index] for index in dict.fromkeys(indices)]
        names = [f'{inert(p.path.name)} ("{inert(p.caption, SHOWN_CAPTION)}")' for p in chosen[:SHOWN]]
        if len(chosen) > SHOWN:
            names.append(f"{len(chosen) - SHOWN} more")
        return f", with {' and '.join(names)}," if names else ""

    def __len__(self) -> int:
        return len(self.pictures)


def _sizes_of(pictures: Sequence[Picture]) -> list[list[torch.Tensor]]:
    """What the model is told of their sizes, upright and mirrored."""
    return [
        [
            torch.tensor(size_conditioning(p.bucket, (p.width, p.height), mirrored), dtype=torch.float32)
            for p in pictures
        ]
        for mirrored in (False, True)
    ]
