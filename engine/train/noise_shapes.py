"""Noise that is not alike everywhere: shifted by channel, or with coarse patterns on top. One sample at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def add_offset_(noise: Tensor, shift: Tensor, strength: float, adaptive_scale: float, latent: Tensor) -> None:
    """Add strength · shift to `noise` (4, h, w); shift (4, 1, 1) is N(0, 1) (sd-scripts: `apply_noise_offset`).

    With `adaptive_scale` the strength of a channel is max(0, strength + adaptive_scale · |mean of the channel|) of the
    scaled `latent` (4, h, w). Nothing is renormalised: the variance becomes 1 + strength².
    """
    if adaptive_scale:
        means = latent.mean(dim=(1, 2), keepdim=True).abs()
        noise.add_((strength + adaptive_scale * means).clamp(min=0.0) * shift)
    else:
        noise.add_(shift, alpha=strength)


def add_pyramid_(
    noise: Tensor, iterations: int, discount: float, ratio: Callable[[int], float], generator: torch.Generator
) -> None:
    """Add ever coarser noise to `noise` (4, h, w), then divide by its standard deviation (`pyramid_noise_like`).

    Level i has sides of 1 / ratio(i)^i and counts discount^i; ratio is uniform in 2..4. The first level that is one
    pixel high or wide is the last. sd-scripts divides by the deviation of the whole batch and draws one ratio a level
    for all of it; here each sample has its own, as whatever is random must not depend on how a batch is split.
    """
    height, width = noise.shape[1:]
    for level in range(iterations):
        shrink = ratio(level) ** level
        coarse = (max(1, int(height / shrink)), max(1, int(width / shrink)))
        pattern = torch.randn(1, len(noise), *coarse, generator=generator)
        noise.add_(interpolate(pattern, size=(height, width), mode="bilinear")[0], alpha=discount**level)
        if 1 in coarse:
            break
    noise.div_(noise.std())
