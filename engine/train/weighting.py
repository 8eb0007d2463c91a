"""How much the loss of each timestep counts: factors by signal-to-noise ratio, each for a whole table of ratios.

All of them are products, so the order in which sd-scripts applies them (`post_process_loss`: min-SNR, scale
of v-prediction, v-prediction-like, debiased) leaves one factor a timestep.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.plan.settings import Settings
from engine.train.diffusion import SNR_FLOOR, snr

SNR_CEILING = 1000.0  # sd-scripts' own bound, for what is nearly without noise


def min_snr_weight(ratios: Tensor, gamma: float, velocity: bool) -> Tensor:
    """min(SNR, γ) / SNR, of a velocity min(SNR, γ) / (SNR + 1) (Hang et al. 2023; sd-scripts: `apply_snr_weight`)."""
    ratios = ratios.clamp(min=SNR_FLOOR)
    return ratios.clamp(max=gamma) / (ratios + 1.0 if velocity else ratios)


def noise_like_scale(ratios: Tensor) -> Tensor:
    """SNR / (SNR + 1) makes a velocity's loss as large as noise's (`scale_v_prediction_loss_like_noise_prediction`)."""
    ratios = ratios.clamp(SNR_FLOOR, SNR_CEILING)
    return ratios / (ratios + 1.0)


def velocity_like_weight(ratios: Tensor, amount: float) -> Tensor:
    """1 + amount · (SNR + 1) / SNR: as if a loss of the velocity were added (`add_v_prediction_like_loss`)."""
    return 1.0 + amount / noise_like_scale(ratios)


def debiased_weight(ratios: Tensor, velocity: bool) -> Tensor:
    """1 / √SNR, of a velocity 1 / (SNR + 1) (Yu et al. 2023; sd-scripts: `apply_debiased_estimation`)."""
    ratios = ratios.clamp(SNR_FLOOR, SNR_CEILING)
    return 1.0 / (ratios + 1.0) if velocity else ratios.rsqrt()


def timestep_weights(settings: Settings, alphas: Tensor) -> Tensor | None:
    """The factor of each timestep's loss, (1000,); None where all count the same.

    `alphas`: SDXL's own ᾱ, also for a zero-terminal-SNR schedule: sd-scripts takes its ratios before it changes the
    schedule (`get_noise_scheduler`), so that no weight is ever a division by 0.
    """
    velocity = settings.v_parameterization == "true"
    ratios = snr(alphas)
    weights = torch.ones_like(ratios)
    if settings.min_snr_gamma:
        weights = weights * min_snr_weight(ratios, settings.min_snr_gamma, velocity)
    if settings.scale_v_pred_loss_like_noise_pred:
        weights = weights * noise_like_scale(ratios)
    if settings.v_pred_like_loss:
        weights = weights * velocity_like_weight(ratios, settings.v_pred_like_loss)
    if settings.debiased_estimation_loss:
        weights = weights * debiased_weight(ratios, velocity)
    return None if bool((weights == 1.0).all()) else weights
