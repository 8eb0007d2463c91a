"""A model and encoded prompts to make pictures with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine.data.cache import Texts
from engine.generate.sampler import EncodedPrompt, Sampler, encode
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.sample_prompts import SamplePrompt
from tests.micro_model import base_of

CPU = torch.device("cpu")
Encode = Callable[..., EncodedPrompt]


@pytest.fixture
def model(micro_folder: Path) -> SDXL:
    return load(base_of(micro_folder))


@pytest.fixture
def sampler(model: SDXL) -> Sampler:
    return Sampler(model.unet, model.vae, model.scheduler_config, CPU)


@pytest.fixture
def asked(model: SDXL, tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """`asked("a cat", seed=3)`: an encoded prompt for a picture of 64×64 in 3 steps."""
    texts = Texts(tmp_path_factory.mktemp("cache"), model, CPU)

    def make(
        prompt: str,
        seed: int = 1,
        negative: str = "",
        size: tuple[int, int] = (64, 64),
        guidance: float = 3.0,
        sampler: str = "euler",
        steps: int = 3,
    ) -> EncodedPrompt:
        whole = SamplePrompt(prompt, *size, seed, negative, steps, guidance, sampler)
        return encode(whole, texts.load([prompt, negative], lambda done, total: None))

    return make
