"""The forward process of diffusion: how noisy a picture is at each timestep, and what its velocity is."""

from __future__ import annotations

import torch
from diffusers.schedulers.scheduling_euler_discrete import rescale_zero_terminal_snr
from torch import Tensor

SNR_FLOOR = 1e-3
"""Weights divide by the signal-to-noise ratio, which is 0 at the end of a zero-terminal-SNR schedule. SDXL's own lowest
is 0.0047, so nothing else is touched."""


def alphas_cumprod(device: torch.device, zero_terminal_snr: bool = False) -> Tensor:
    """ᾱ of SDXL's schedule, (1000,) fp32: betas are the squares of 1000 steps between √0.00085 and √0.012.

    zero_terminal_snr: √ᾱ shifted and stretched, so that the last is exactly 0 and the first stays (Lin et al. 2023,
    algorithm 1). In float64, since fp32 would lose digits where √ᾱ comes near 0.
    """
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32) ** 2
    if zero_terminal_snr:
        betas = rescale_zero_terminal_snr(betas.double())
    return torch.cumprod(1.0 - betas, dim=0).float().to(device)


def snr(alphas: Tensor) -> Tensor:
    """ᾱ / (1 − ᾱ), of any shape."""
    return alphas / (1.0 - alphas)


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor, alphas: Tensor) -> Tensor:
    """√ᾱ·x + √(1−ᾱ)·ε (Ho et al. 2020, eq. 4). latents, noise: (B, 4, h, w); timesteps (B,)."""
    alpha = alphas[timesteps][:, None, None, None]
    return alpha.sqrt() * latents + (1.0 - alpha).sqrt() * noise


def velocity(latents: Tensor, noise: Tensor, timesteps: Tensor, alphas: Tensor) -> Tensor:
    """√ᾱ·ε − √(1−ᾱ)·x, what a v-prediction model predicts (Salimans and Ho 2022). Shapes as for `add_noise`."""
    alpha = alphas[timesteps][:, None, None, None]
    return alpha.sqrt() * noise - (1.0 - alpha).sqrt() * latents
