"""The formulas of `semantics.md` 1.18 to 1.20: schedule, target, weights of noise levels, kinds of loss."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from engine.data.samples import MicroBatch
from engine.train.diffusion import add_noise, alphas_cumprod, snr, velocity
from engine.train.loss import denoising_loss, judged
from engine.train.objective import Objective, huber_bounds
from engine.train.weighting import (
    debiased_weight,
    min_snr_weight,
    noise_like_scale,
    timestep_weights,
    velocity_like_weight,
)
from tests.training import settings

CPU = torch.device("cpu")
ALPHAS = alphas_cumprod(CPU)
RATIOS = torch.tensor([0.0, 0.5, 1.0, 5.0, 20.0, 1e6])


def scheduler(**values: Any) -> DDPMScheduler:
    known = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
    return DDPMScheduler(1000, **known, **values)


def batch(timesteps: list[int], noise: Tensor | None = None, weights: list[float] | None = None) -> MicroBatch:
    shape = (len(timesteps), 4, 8, 8)
    fields: dict[str, Any] = {
        "step": 1,
        "positions": range(len(timesteps)),
        "latents": torch.randn(shape, generator=torch.Generator().manual_seed(1)),
        "noise": torch.randn(shape, generator=torch.Generator().manual_seed(2)) if noise is None else noise,
        "timesteps": torch.tensor(timesteps),
        "texts": None,
        "time_ids": torch.zeros(len(timesteps), 6),
        "weights": torch.tensor(weights or [1.0] * len(timesteps)),
    }
    return MicroBatch(**fields)


def objective(**values: object) -> Objective:
    return Objective.of(settings(**values), CPU)


# ------------------------------------------------------------------------------------------------ schedule and target
def test_schedule_and_forward_process_are_sdxls() -> None:
    torch.testing.assert_close(ALPHAS, scheduler().alphas_cumprod, rtol=1e-6, atol=1e-9)
    made = batch([0, 500, 999])
    expected = scheduler().add_noise(made.latents, made.noise, made.timesteps)
    torch.testing.assert_close(add_noise(made.latents, made.noise, made.timesteps, ALPHAS), expected)
    torch.testing.assert_close(objective().noisy(made), expected)
    assert objective().target(made) is made.noise


def test_velocity_is_the_target_of_v_prediction() -> None:
    made = batch([0, 500, 999])
    expected = scheduler().get_velocity(made.latents, made.noise, made.timesteps)
    torch.testing.assert_close(velocity(made.latents, made.noise, made.timesteps, ALPHAS), expected)
    torch.testing.assert_close(objective(v_parameterization="true").target(made), expected)


def test_zero_terminal_snr_leaves_nothing_of_the_picture_at_the_end_and_the_beginning_as_it_was() -> None:
    zero = alphas_cumprod(CPU, zero_terminal_snr=True)
    assert zero[-1].item() == 0.0
    assert zero[0].item() == ALPHAS[0].item()
    assert (zero[1:] < zero[:-1]).all()
    reference = scheduler(rescale_betas_zero_snr=True).alphas_cumprod
    torch.testing.assert_close(zero[:-1], reference[:-1], rtol=1e-3, atol=1e-6)  # diffusers' is fp32
    made = batch([999])
    whole = objective(v_parameterization="true", zero_terminal_snr="true")
    assert torch.equal(whole.noisy(made), made.noise)
    assert torch.equal(whole.target(made), -made.latents)


def test_perturbed_input_leaves_the_target_alone() -> None:
    made = batch([500])
    made = MicroBatch(**{**vars(made), "input_noise": made.noise + 1.0})
    alpha = ALPHAS[500]
    shift = objective().noisy(made) - add_noise(made.latents, made.noise, made.timesteps, ALPHAS)
    torch.testing.assert_close(shift, torch.full_like(shift, float((1 - alpha).sqrt())))
    assert objective().target(made) is made.noise


# ------------------------------------------------------------------------------------------------------------- weights
def test_min_snr_weight_of_noise_and_of_velocity() -> None:
    expected = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.25, 5e-6])
    torch.testing.assert_close(min_snr_weight(RATIOS, 5.0, velocity=False), expected)
    expected = torch.tensor([0.0, 0.5 / 1.5, 0.5, 5 / 6, 5 / 21, 5 / 1000001])
    torch.testing.assert_close(min_snr_weight(RATIOS, 5.0, velocity=True), expected, rtol=1e-5, atol=1e-3)


def test_the_other_weights() -> None:
    inner = RATIOS[1:]
    torch.testing.assert_close(
        debiased_weight(inner, velocity=False), torch.tensor([2**0.5, 1.0, 5**-0.5, 20**-0.5, 1000**-0.5])
    )
    torch.testing.assert_close(
        debiased_weight(inner, velocity=True), torch.tensor([1 / 1.5, 1 / 2, 1 / 6, 1 / 21, 1 / 1001])
    )
    torch.testing.assert_close(noise_like_scale(inner), torch.tensor([1 / 3, 1 / 2, 5 / 6, 20 / 21, 1000 / 1001]))
    torch.testing.assert_close(velocity_like_weight(inner[:2], 0.5), torch.tensor([2.5, 2.0]))


@pytest.mark.parametrize("is_velocity", [False, True])
def test_every_weight_is_finite_where_the_ratio_is_zero(is_velocity: bool) -> None:
    zero = torch.zeros(1)
    for weight in (
        min_snr_weight(zero, 5.0, is_velocity),
        debiased_weight(zero, is_velocity),
        noise_like_scale(zero),
        velocity_like_weight(zero, 1.0),
    ):
        assert torch.isfinite(weight).all()
    everything = {"min_snr_gamma": 5.0, "debiased_estimation_loss": True, "zero_terminal_snr": "true"}
    everything |= {"scale_v_pred_loss_like_noise_pred": True, "v_pred_like_loss": 1.0}
    weights = objective(**everything, v_parameterization=is_velocity).weights
    assert weights is not None
    assert torch.isfinite(weights).all()
    assert (weights > 0).all()


def test_all_weights_together_are_their_product_of_the_ratios_before_the_schedule_is_changed() -> None:
    values = settings(
        min_snr_gamma=5.0, scale_v_pred_loss_like_noise_pred=True, v_pred_like_loss=0.3, debiased_estimation_loss=True
    )
    r = snr(ALPHAS).double()
    expected = r.clamp(max=5) / r
    low = r.clamp(max=1000)
    expected = expected * (low / (low + 1)) * (1 + 0.3 * (low + 1) / low) / low.sqrt()
    made = timestep_weights(values, ALPHAS)
    torch.testing.assert_close(made, expected.float(), rtol=1e-5, atol=0)
    changed = Objective.of(values.model_copy(update={"zero_terminal_snr": "true"}), CPU)
    assert torch.equal(changed.weights, made)  # as in sd-scripts
    assert objective().weights is None


# ---------------------------------------------------------------------------------------------------------------- loss
def test_each_kind_of_loss_by_hand() -> None:
    three, four = torch.tensor([3.0, -3.0]), torch.tensor(4.0)
    for kind, expected in (("l2", 9.0), ("l1", 3.0), ("huber", 8.0), ("smooth_l1", 2.0)):
        assert judged(three, kind, four).tolist() == [expected, expected]  # √(3² + 4²) = 5


def test_hubers_bound_follows_its_schedule() -> None:
    def bounds(schedule: str, alphas: Tensor = ALPHAS, scale: float = 2.0) -> Tensor:
        return huber_bounds(settings(huber_schedule=schedule, huber_c=0.25, huber_scale=scale), alphas)

    assert bounds("constant").tolist() == [0.5] * 1000
    exponential = bounds("exponential")
    assert exponential[0].item() == 2.0
    assert exponential[500].item() == pytest.approx(2 * 0.25**0.5)
    assert exponential[999].item() == pytest.approx(2 * math.exp(math.log(0.25) * 0.999))
    sigma = ((1 - ALPHAS[300].item()) / ALPHAS[300].item()) ** 0.5
    assert bounds("snr")[300].item() == pytest.approx(0.75 / (1 + sigma) ** 2 + 0.25)
    assert torch.equal(bounds("snr"), bounds("snr", scale=9.0))
    assert bounds("snr", alphas_cumprod(CPU, zero_terminal_snr=True))[-1].item() == 0.25


def test_loss_weighs_regularisation_pictures_without_renormalising() -> None:
    predicted, ones = torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8)
    assert denoising_loss(predicted, batch([900, 900], ones), objective()).item() == 1.0
    assert denoising_loss(predicted, batch([900, 900], ones, [1.0, 0.5]), objective()).item() == 0.75


def test_each_sample_has_the_weight_and_the_bound_of_its_own_timestep() -> None:
    predicted, ones = torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8)
    whole = objective(loss_type="huber", huber_schedule="exponential", min_snr_gamma=5.0)
    together = denoising_loss(predicted, batch([5, 900], ones), whole)
    alone = [denoising_loss(predicted[:1], batch([t], ones[:1]), whole) for t in (5, 900)]
    torch.testing.assert_close(together, torch.stack(alone).mean())
    c = 0.1**0.005
    weight = 5.0 / snr(ALPHAS)[5].item()
    assert alone[0].item() == pytest.approx(2 * c * ((1 + c * c) ** 0.5 - c) * weight, rel=1e-5)
