"""Samples of a v-prediction model: with a U-Net that knows the answer, the sampler arrives at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.generate.sampler import EncodedPrompt, Sampler
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.train.diffusion import alphas_cumprod
from tests.generate.conftest import Encode
from tests.micro_model import base_of

CPU = torch.device("cpu")


def model_that_says(folder: Path, prediction_type: str, zero_terminal_snr: bool) -> SDXL:
    base = replace(base_of(folder), prediction_type=prediction_type, zero_terminal_snr=zero_terminal_snr)
    return load(base)


def knowing(answer: Tensor, alphas: Tensor, asked_for: list[tuple[float, Tensor]]) -> Callable[..., tuple[Tensor]]:
    """A U-Net's forward that gives the velocity towards `answer` (4, h, w); notes each timestep and the noise in it."""

    def forward(sample: Tensor, timestep: Tensor, *_: Any, **__: Any) -> tuple[Tensor]:
        alpha = alphas[int(timestep)].clamp(min=2**-24)  # as diffusers' sampler has it
        noise = (sample - alpha.sqrt() * answer) / (1 - alpha).sqrt()
        asked_for.append((float(timestep), noise))
        return (alpha.sqrt() * noise - (1 - alpha).sqrt() * answer,)

    return forward


def walked(model: SDXL, prompt: EncodedPrompt) -> Tensor:
    """The latents (4, h, w) that the sampler ends with."""
    sampler = Sampler(model.unet, model.vae, model.scheduler_config, CPU)
    with torch.no_grad():
        return sampler._latents([prompt], lambda *values: values[-1])[0]


@pytest.mark.parametrize("zero", [False, True])
def test_the_sampler_walks_along_the_velocity_to_the_picture(
    micro_folder: Path, asked: Encode, monkeypatch: pytest.MonkeyPatch, zero: bool
) -> None:
    model = model_that_says(micro_folder, "v_prediction", zero)
    answer = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(3))
    steps: list[tuple[float, Tensor]] = []
    monkeypatch.setattr(model.unet, "forward", knowing(answer, alphas_cumprod(CPU, zero), steps))
    torch.testing.assert_close(walked(model, asked("a cat", 5)), answer, rtol=0.02, atol=0.02)
    assert len(steps) == 3
    for _, noise in steps[1:]:  # on the straight way: what is noise stays the same
        torch.testing.assert_close(noise, steps[0][1], rtol=0.01, atol=0.01)
    assert (steps[0][0] == 999.0) == zero  # nothing of a picture is there only at the very last


def test_as_a_model_that_predicts_noise_it_goes_astray(
    micro_folder: Path, asked: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_that_says(micro_folder, "epsilon", False)
    answer = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(3))
    steps: list[tuple[float, Tensor]] = []
    monkeypatch.setattr(model.unet, "forward", knowing(answer, alphas_cumprod(CPU), steps))
    walked(model, asked("a cat", 5))
    assert (steps[1][1] - steps[0][1]).abs().mean() > 0.1


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_picture_with_zero_terminal_snr_is_made_of_numbers(
    micro_folder: Path, asked: Encode, prediction_type: str
) -> None:
    model = model_that_says(micro_folder, prediction_type, True)
    assert torch.isfinite(walked(model, asked("a cat", 5))).all()
