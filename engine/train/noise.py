"""All randomness of a training step, as functions of (seed, step, position): never of how many numbers came before.

"Step" is the optimizer step and "position" the place of the sample in the whole step, so splitting a batch (gradient
accumulation, a smaller batch after running out of memory) changes nothing, and a resumed run sees the same numbers as
an undisturbed one. Numbers are drawn on the CPU, so every kind of device trains on the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.samples import MicroBatch, Sample
from engine.data.text_source import TextSource
from engine.device import send
from engine.plan.draws import draw

NUM_TRAIN_TIMESTEPS = 1000


def generator(seed: int, stream: str, step: int, position: int) -> torch.Generator:
    """A fresh random stream for one purpose and one sample of one step."""
    return torch.Generator().manual_seed(draw(seed, stream, step, position))


@dataclass(frozen=True)
class Randomness:
    """What is random about a step but for the captions: `noise_offset` (0 = none), the run's `seed`."""

    seed: int
    noise_offset: float

    def timestep(self, step: int, position: int) -> int:
        """Uniform in 0..999."""
        return draw(self.seed, "timestep", step, position) % NUM_TRAIN_TIMESTEPS

    def noise(self, out: Tensor, step: int, position: int) -> None:
        """Fill `out` (4, h, w) with ε + offset · N(0, 1) per channel (`custom_train_functions.apply_noise_offset`).

        The shifted noise is also the target; it is not renormalised, so its variance is 1 + offset².
        """
        out.normal_(generator=generator(self.seed, "noise", step, position))
        if self.noise_offset:
            shift = torch.randn(out.shape[0], 1, 1, generator=generator(self.seed, "noise offset", step, position))
            out.add_(shift, alpha=self.noise_offset)

    def latent(self, out: Tensor, sample: Sample, step: int, position: int, scaling_factor: float) -> None:
        """Fill `out` (4, h, w) with a draw from the picture's latent distribution, scaled."""
        out.normal_(generator=generator(self.seed, "latent", step, position))
        out.mul_(sample.std).add_(sample.mean).mul_(scaling_factor)


def micro_batch(
    samples: Sequence[Sample],
    texts: TextSource,
    randomness: Randomness,
    *,
    epoch: int,
    step: int,
    first_position: int,
    scaling_factor: float,
    device: torch.device,
) -> MicroBatch:
    """Put `samples` (of one bucket) together for one forward pass; nothing here waits for the device."""
    pinned = device.type == "cuda"
    shape = (len(samples), *samples[0].mean.shape)
    latents, noise = torch.empty(shape, pin_memory=pinned), torch.empty(shape, pin_memory=pinned)
    timesteps = []
    for row, sample in enumerate(samples):
        position = first_position + row
        randomness.latent(latents[row], sample, step, position, scaling_factor)
        randomness.noise(noise[row], step, position)
        timesteps.append(randomness.timestep(step, position))

    return MicroBatch(
        step=step,
        positions=range(first_position, first_position + len(samples)),
        latents=latents.to(device, non_blocking=True),
        noise=noise.to(device, non_blocking=True),
        timesteps=send(torch.tensor(timesteps), device),
        texts=texts.batch([s.caption for s in samples], epoch=epoch, step=step, first_position=first_position),
        time_ids=send(torch.stack([s.time_ids for s in samples]), device),
        weights=send(torch.tensor([s.weight for s in samples]), device),
        masks=_masks(samples, device),
    )


def _masks(samples: Sequence[Sample], device: torch.device) -> Tensor | None:
    """(B, h, w), 1 all over for a picture without a mask; None where none has one."""
    if all(sample.mask is None for sample in samples):
        return None
    masks = [torch.ones_like(s.mean[0]) if s.mask is None else s.mask for s in samples]
    return send(torch.stack(masks), device)
