"""The loss: squared error of the predicted noise, weighted by signal-to-noise ratio and by kind of picture."""

from __future__ import annotations

import torch
from torch import Tensor


def alphas_cumprod(device: torch.device) -> Tensor:
    """ᾱ of SDXL's schedule, (1000,) fp32: betas are the squares of 1000 steps between √0.00085 and √0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32) ** 2
    return torch.cumprod(1.0 - betas, dim=0).to(device)


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor, alphas: Tensor) -> Tensor:
    """√ᾱ·x + √(1−ᾱ)·ε (Ho et al. 2020, eq. 4). latents, noise: (B, 4, h, w); timesteps (B,)."""
    alpha = alphas[timesteps][:, None, None, None]
    return alpha.sqrt() * latents + (1.0 - alpha).sqrt() * noise


def min_snr_weight(timesteps: Tensor, alphas: Tensor, gamma: float) -> Tensor:
    """min(SNR, γ) / SNR for a model that predicts noise, (B,) (Hang et al. 2023; `apply_snr_weight` in sd-scripts)."""
    alpha = alphas[timesteps]
    snr = alpha / (1.0 - alpha)
    return snr.clamp(max=gamma) / snr


def denoising_loss(
    predicted: Tensor,
    target: Tensor,
    timesteps: Tensor,
    weights: Tensor,
    alphas: Tensor,
    gamma: float,
    masks: Tensor | None = None,
) -> Tensor:
    """Scalar: mean over the batch of each sample's weighted mean squared error, in fp32.

    `weights` (B,) is prior_loss_weight for regularisation pictures and 1 otherwise; as in sd-scripts
    (`train_network.process_batch`) the mean is not renormalised by them. `gamma` 0 switches min-SNR off. `masks`
    (B, h, w) multiply each place's error, also without renormalising (`apply_masked_loss`).
    """
    errors = (predicted.float() - target.float()).square()
    if masks is not None:
        errors = errors * masks[:, None]
    error = errors.mean(dim=(1, 2, 3)) * weights
    if gamma > 0:
        error = error * min_snr_weight(timesteps, alphas, gamma)
    return error.mean()
