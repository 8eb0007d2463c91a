"""Every sampler: it arrives, whatever the model predicts, and the same line gives the same picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.generate.sampler import Sampler
from engine.generate.schedulers import _made, make_scheduler
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.errors import UserError
from engine.plan.samplers import find, names
from engine.train.diffusion import alphas_cumprod
from tests.generate.conftest import Encode
from tests.micro_model import base_of

# of numpy, about diffusers' DPM2, a thousand times for each
pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__ must:DeprecationWarning")

CPU = torch.device("cpu")


def installed() -> list[str]:
    return [name for name in names() if not find(name).needs]


@pytest.fixture(scope="module")
def models(micro_folder: Path) -> dict[tuple[str, bool], SDXL]:
    kinds = (("epsilon", False), ("v_prediction", False), ("v_prediction", True))
    return {
        kind: load(replace(base_of(micro_folder), prediction_type=kind[0], zero_terminal_snr=kind[1])) for kind in kinds
    }


class Knowing:
    """A U-Net's forward that knows the picture: says its noise, or the velocity towards it, at any timestep, also at
    those between two that some samplers look at."""

    def __init__(self, answer: Tensor, prediction: str, zero: bool) -> None:
        ratios = alphas_cumprod(CPU, zero).double().clamp(min=2**-24)
        self.log_sigmas = ((1 - ratios) / ratios).sqrt().log().numpy()
        self.answer, self.prediction = answer, prediction
        self.timesteps: list[float] = []

    def __call__(self, sample: Tensor, timestep: Tensor, *_: Any, **__: Any) -> tuple[Tensor]:
        self.timesteps.append(float(timestep))
        sigma = float(np.exp(np.interp(float(timestep), range(1000), self.log_sigmas)))
        alpha = 1 / (1 + sigma**2)
        noise = (sample - alpha**0.5 * self.answer) / (1 - alpha) ** 0.5
        return (noise if self.prediction == "epsilon" else alpha**0.5 * noise - (1 - alpha) ** 0.5 * self.answer,)


@pytest.mark.parametrize("name", installed())
def test_every_sampler_arrives_whatever_the_model_predicts(
    models: dict[tuple[str, bool], SDXL], asked: Encode, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    answer = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(3))
    for (prediction, zero), model in models.items():
        knowing = Knowing(answer, prediction, zero)
        monkeypatch.setattr(model.unet, "forward", knowing)
        sampler = Sampler(model.unet, model.vae, model.scheduler_config, CPU)
        prompt = asked("a cat", 5, sampler=name, steps=8)
        with torch.no_grad():
            made = sampler._latents([prompt], lambda *values: values[-1])[0]
        # Some stop at the schedule's least noise, which is 0.03 of what it starts with.
        torch.testing.assert_close(made, answer, rtol=0.0, atol=0.13)
        if zero:  # what holds no picture at all stands only at the very last timestep
            assert knowing.timesteps[0] == 999.0


@pytest.mark.parametrize("name", installed())
def test_the_same_line_gives_the_same_picture(models: dict[tuple[str, bool], SDXL], asked: Encode, name: str) -> None:
    """Alone and in a batch, before and after others, whatever the state of torch's own generator."""
    model = models["epsilon", False]
    sampler = Sampler(model.unet, model.vae, model.scheduler_config, CPU)
    prompt, other = asked("a cat", 1, sampler=name, steps=2), asked("a dog", 2, sampler=name, steps=2)
    alone = sampler.pictures([prompt])[0]
    torch.manual_seed(123)
    seen: list[tuple[int, int]] = []
    among = sampler.pictures([other, prompt], lambda *at: seen.append(at), batch=2)[1]
    assert np.abs(np.asarray(alone, dtype=int) - np.asarray(among, dtype=int)).max() <= 1
    assert seen == [(n, len(seen)) for n in range(1, len(seen) + 1)]  # also for those that look twice at a step
    assert sampler.pictures([prompt])[0].tobytes() == alone.tobytes()


def test_the_sampler_is_the_one_that_was_asked_for(models: dict[tuple[str, bool], SDXL], asked: Encode) -> None:
    model = models["epsilon", False]
    sampler = Sampler(model.unet, model.vae, model.scheduler_config, CPU)
    pictures = sampler.pictures([asked("a cat", 1, sampler=name, guidance=1.0) for name in installed()])
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_a_name_means_the_same_whatever_sampler_the_model_was_saved_with(model: SDXL) -> None:
    config = model.scheduler_config | {
        "use_karras_sigmas": True,
        "solver_order": 3,
        "algorithm_type": "sde-dpmsolver++",
    }
    for name in ("euler", "dpmsolver++", "UniPC"):
        assert make_scheduler(name, config).config == make_scheduler(name, model.scheduler_config).config


def test_a_sampler_whose_package_is_missing_is_refused_by_name(model: SDXL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.plan.samplers.find_spec", lambda name: None)
    _made.cache_clear()
    with pytest.raises(UserError, match="scipy"):
        make_scheduler("LMS", model.scheduler_config)
