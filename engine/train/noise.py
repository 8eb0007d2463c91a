"""All randomness of a training step, as functions of (seed, step, position): never of how many numbers came before.

"Step" is the optimizer step and "position" the place of the sample in the whole step, so splitting a batch (gradient
accumulation, a smaller batch after running out of memory) changes nothing, and a resumed run sees the same numbers as
an undisturbed one. Numbers are drawn on the CPU, so every kind of device trains on the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from engine.data.class_texts import ClassTexts
from engine.data.samples import MicroBatch, Sample
from engine.data.text_source import TextSource
from engine.device import send
from engine.plan.draws import draw
from engine.plan.settings import Settings
from engine.train.noise_shapes import add_offset_, add_pyramid_

NUM_TRAIN_TIMESTEPS = 1000


def generator(seed: int, stream: str, step: int, position: int) -> torch.Generator:
    """A fresh random stream for one purpose and one sample of one step."""
    return torch.Generator().manual_seed(draw(seed, stream, step, position))


def uniform(seed: int, stream: str, step: int, position: int) -> float:
    """A number uniform in 0..1 for one purpose and one sample of one step."""
    return draw(seed, stream, step, position) / 2**63


@dataclass(frozen=True)
class Randomness:
    """What is random about a step but for the captions: the run's `seed`, and the options of that name.

    Where sd-scripts draws the strength of noise offset or input perturbation once for a batch, each sample has its own
    here: a batch's number would change with the way it is split.
    """

    seed: int
    noise_offset: float
    noise_offset_random_strength: bool = False
    adaptive_noise_scale: float = 0.0
    multires_noise_iterations: int = 0
    multires_noise_discount: float = 0.3
    ip_noise_gamma: float = 0.0
    ip_noise_gamma_random_strength: bool = False
    min_timestep: int = 0
    max_timestep: int = NUM_TRAIN_TIMESTEPS

    @classmethod
    def of(cls, settings: Settings) -> Randomness:
        """As the settings say; their names are the same."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})

    def timestep(self, step: int, position: int) -> int:
        """Uniform in min_timestep..max_timestep−1 (sd-scripts: `get_timesteps`)."""
        number = draw(self.seed, "timestep", step, position)
        return self.min_timestep + number % (self.max_timestep - self.min_timestep)

    def noise(self, out: Tensor, latent: Tensor, step: int, position: int) -> None:
        """Fill `out` (4, h, w) with ε, which is also what is to be predicted; `latent` (4, h, w) is the scaled one.

        Offset first, multires noise on top of it, as in sd-scripts (`get_noise_noisy_latents_and_timesteps`).
        """
        out.normal_(generator=generator(self.seed, "noise", step, position))
        if self.noise_offset:
            shift = torch.randn(out.shape[0], 1, 1, generator=generator(self.seed, "noise offset", step, position))
            strength = self._strength(self.noise_offset, self.noise_offset_random_strength, "offset", step, position)
            add_offset_(out, shift, strength, self.adaptive_noise_scale, latent)
        if self.multires_noise_iterations:

            def ratio(level: int) -> float:
                return 2.0 + 2.0 * uniform(self.seed, f"multires ratio {level}", step, position)

            patterns = generator(self.seed, "multires noise", step, position)
            add_pyramid_(out, self.multires_noise_iterations, self.multires_noise_discount, ratio, patterns)

    def input_noise(self, out: Tensor, noise: Tensor, step: int, position: int) -> None:
        """Fill `out` (4, h, w) with ε + γ·N(0, 1), the noise of the U-Net's input (Ning et al. 2023)."""
        out.normal_(generator=generator(self.seed, "input perturbation", step, position))
        gamma = self._strength(self.ip_noise_gamma, self.ip_noise_gamma_random_strength, "ip", step, position)
        out.mul_(gamma).add_(noise)

    def _strength(self, most: float, random: bool, stream: str, step: int, position: int) -> float:
        return most * uniform(self.seed, f"{stream} strength", step, position) if random else most

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
    share: float = 1.0,
    class_texts: ClassTexts | None = None,
) -> MicroBatch:
    """Put `samples` (of one bucket) together for one forward pass; nothing here waits for the device."""
    captions, place = [s.caption for s in samples], {"epoch": epoch, "step": step, "first_position": first_position}
    pinned = device.type == "cuda"
    shape = (len(samples), *samples[0].mean.shape)
    latents, noise = torch.empty(shape, pin_memory=pinned), torch.empty(shape, pin_memory=pinned)
    input_noise = torch.empty(shape, pin_memory=pinned) if randomness.ip_noise_gamma else None
    timesteps = []
    for row, sample in enumerate(samples):
        position = first_position + row
        randomness.latent(latents[row], sample, step, position, scaling_factor)
        randomness.noise(noise[row], latents[row], step, position)
        if input_noise is not None:
            randomness.input_noise(input_noise[row], noise[row], step, position)
        timesteps.append(randomness.timestep(step, position))

    return MicroBatch(
        step=step,
        positions=range(first_position, first_position + len(samples)),
        latents=latents.to(device, non_blocking=True),
        noise=noise.to(device, non_blocking=True),
        timesteps=send(torch.tensor(timesteps), device),
        texts=texts.batch(captions, **place),
        time_ids=send(torch.stack([s.time_ids for s in samples]), device),
        weights=send(torch.tensor([s.weight for s in samples]), device),
        masks=masks_of(samples, device),
        input_noise=None if input_noise is None else input_noise.to(device, non_blocking=True),
        share=share,
        plain=None if class_texts is None else class_texts.batch(captions, [s.subject for s in samples], **place),
    )


def masks_of(samples: Sequence[Sample], device: torch.device) -> Tensor | None:
    """(B, h, w), 1 all over for a picture without a mask; None where none has one."""
    if all(sample.mask is None for sample in samples):
        return None
    masks = [torch.ones_like(s.mean[0]) if s.mask is None else s.mask for s in samples]
    return send(torch.stack(masks), device)
