"""In which precision pictures are made on which GPU. There is none here: what CUDA would answer is stood in for."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from engine.device import half
from engine.generate import studio
from engine.generate.sampler import Sampler
from engine.models.checkpoint import load
from tests.generate.conftest import CPU, Encode
from tests.micro_model import base_of

CUDA = torch.device("cuda:1")


@pytest.fixture(params=[(False, torch.float16), (True, torch.bfloat16)], ids=["T4", "RTX 3090"])
def own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """The 16 bits of a GPU, which says that it can bf16 in any case if it may imitate it."""
    can, dtype = request.param
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or can)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    return cast(torch.dtype, dtype)


def test_a_gpu_computes_in_the_16_bits_that_are_its_own(own: torch.dtype) -> None:
    assert half(CUDA) == own
    assert half(CPU) == torch.bfloat16


def test_pictures_are_made_in_them(own: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons, regularisation pictures and the demo's proof all get their model here."""
    asked: dict[str, Any] = {}
    moved: list[torch.device] = []

    def stand_in(base: object, **values: Any) -> SimpleNamespace:
        asked.update(values)
        return SimpleNamespace(unet=SimpleNamespace(to=moved.append))

    monkeypatch.setattr(studio, "load", stand_in)
    monkeypatch.setattr(studio, "refuse_what_cannot_be_had", lambda *_: None)
    context: Any = SimpleNamespace(job=SimpleNamespace(settings=None), phase=lambda name: nullcontext())
    studio.model_to_draw_with(context, cast(Any, None), CUDA)
    assert (asked["dtype"], moved) == (own, [CUDA])
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype, enabled: (kind, dtype, enabled))
    assert studio.autocast_on(CUDA)() == ("cuda", own, True)


def test_with_a_model_in_fp16_the_vae_stays_in_fp32_and_the_picture_is_the_same(
    sampler: Sampler, asked: Encode, micro_folder: Path
) -> None:
    model = load(base_of(micro_folder), dtype=torch.float16)
    assert (model.unet.dtype, model.text_encoder.dtype) == (torch.float16, torch.float16)
    assert model.vae.dtype == torch.float32
    coarse = Sampler(model.unet, model.vae, model.scheduler_config, CPU)
    (whole,), (halved,) = sampler.pictures([asked("a man")]), coarse.pictures([asked("a man")])
    apart = np.abs(np.asarray(whole, dtype=float) - np.asarray(halved, dtype=float))
    assert apart.mean() < 2
