"""What the model is trained to predict, from which input, and how its error is judged: one object a training.

Everything that depends on the timestep alone stands in tables of 1000 values on the training device, so that a step
only looks up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from engine.data.samples import MicroBatch
from engine.plan.settings import Settings
from engine.train.diffusion import add_noise, alphas_cumprod, velocity
from engine.train.weighting import timestep_weights

LossType = Literal["l2", "l1", "huber", "smooth_l1"]


@dataclass(frozen=True)
class Objective:
    """alphas: ᾱ, (1000,). velocity: v-prediction instead of noise. loss_type: how an error is judged; bounds: Huber's c
    by timestep, (1000,), for the two kinds that have one. weights: each timestep's factor, (1000,), None for 1."""

    alphas: Tensor
    velocity: bool
    loss_type: LossType
    bounds: Tensor | None
    weights: Tensor | None

    @classmethod
    def of(cls, settings: Settings, device: torch.device) -> Objective:
        """As `settings` say, in which nothing is left to the base model (`engine.plan.objective.settled`)."""
        plain = alphas_cumprod(torch.device("cpu"))
        alphas = alphas_cumprod(torch.device("cpu"), settings.zero_terminal_snr == "true")
        bounds = huber_bounds(settings, alphas) if settings.loss_type in ("huber", "smooth_l1") else None
        weights = timestep_weights(settings, plain)
        return cls(
            alphas=alphas.to(device),
            velocity=settings.v_parameterization == "true",
            loss_type=settings.loss_type,
            bounds=None if bounds is None else bounds.to(device),
            weights=None if weights is None else weights.to(device),
        )

    def noisy(self, batch: MicroBatch) -> Tensor:
        """What the U-Net is given, (B, 4, h, w)."""
        noise = batch.noise if batch.input_noise is None else batch.input_noise
        return add_noise(batch.latents, noise, batch.timesteps, self.alphas)

    def target(self, batch: MicroBatch) -> Tensor:
        """What it is to predict, (B, 4, h, w)."""
        if not self.velocity:
            return batch.noise
        return velocity(batch.latents, batch.noise, batch.timesteps, self.alphas)


def huber_bounds(settings: Settings, alphas: Tensor) -> Tensor:
    """c by timestep, (1000,): where a Huber loss turns from squared to absolute (`get_huber_threshold_if_needed`).

    constant: c·scale; exponential: c^(t/1000)·scale; snr: (1−c)/(1+σ)² + c with σ = √((1−ᾱ)/ᾱ), without the scale.
    At ᾱ = 0 σ is infinite and the bound is c.
    """
    c, scale = settings.huber_c, settings.huber_scale
    match settings.huber_schedule:
        case "constant":
            return torch.full_like(alphas, c * scale)
        case "exponential":
            return c ** (torch.arange(len(alphas), dtype=torch.float32) / len(alphas)) * scale
        case _:
            sigmas = ((1.0 - alphas) / alphas).sqrt()
            return (1.0 - c) / (1.0 + sigmas) ** 2 + c
