"""Pictures from prompts: the same seed gives the same picture, whatever happens around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
from PIL import Image

from engine.generate.sampler import Sampler
from engine.lora.attach import LoraShape, attach
from engine.models.sdxl import SDXL
from tests.generate.conftest import Encode


def difference(one: Image.Image, other: Image.Image) -> float:
    """The largest difference of any value, 0 to 255."""
    return float(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def test_the_same_seed_gives_the_same_picture_whatever_the_batch(sampler: Sampler, asked: Encode) -> None:
    prompts = [asked("a cat", 1), asked("a dog", 2), asked("a cat", 3), asked("a man", 1)]
    torch.manual_seed(1)
    alone = sampler.pictures(prompts)
    torch.manual_seed(2)
    together = sampler.pictures(prompts, batch=3)
    for one, other in zip(alone, together, strict=True):
        assert difference(one, other) <= 1
    assert difference(alone[0], alone[2]) > 10  # another seed
    assert sampler.pictures(prompts[:1])[0].tobytes() == alone[0].tobytes()


def test_words_and_what_to_avoid_count(sampler: Sampler, asked: Encode) -> None:
    plain, other, avoiding, free = sampler.pictures(
        [
            asked("a cat"),
            asked("a red house on a hill"),
            asked("a cat", negative="blurry, ugly"),
            asked("a cat", guidance=1.0),
        ]
    )
    for picture in (other, avoiding, free):
        assert plain.tobytes() != picture.tobytes()


def test_pictures_come_in_the_order_asked_for_each_in_its_size(sampler: Sampler, asked: Encode) -> None:
    sizes = [(96, 64), (64, 64), (64, 96), (96, 64), (64, 64)]
    prompts = [asked("a cat", seed, size=size) for seed, size in enumerate(sizes)]
    pictures = sampler.pictures(prompts, batch=2)
    assert [picture.size for picture in pictures] == sizes
    for prompt, picture in zip(prompts, pictures, strict=True):
        assert difference(sampler.pictures([prompt])[0], picture) <= 1


def test_progress_counts_denoising_steps(sampler: Sampler, asked: Encode) -> None:
    seen: list[tuple[int, int]] = []
    sampler.pictures([asked("a cat", n) for n in range(3)], lambda done, total: seen.append((done, total)), batch=2)
    assert seen == [(n, 6) for n in range(1, 7)]


def test_multiplier_zero_is_exactly_the_base_model_and_one_is_not(model: SDXL, sampler: Sampler, asked: Encode) -> None:
    prompts = [asked("a cat", n) for n in range(2)]
    before = [picture.tobytes() for picture in sampler.pictures(prompts)]
    network = attach({"unet": model.unet}, LoraShape(4, 4.0), 0)
    network.parts[0].ups.data.normal_(std=0.5, generator=torch.Generator().manual_seed(0))
    network.set_multiplier(0.0)
    assert [picture.tobytes() for picture in sampler.pictures(prompts)] == before
    network.set_multiplier(1.0)
    full = sampler.pictures(prompts)
    assert [picture.tobytes() for picture in full] != before
    network.set_multiplier(0.5)
    assert sampler.pictures(prompts)[0].tobytes() not in (before[0], full[0].tobytes())


def test_the_picture_is_the_one_that_diffusers_makes(model: SDXL, sampler: Sampler, asked: Encode) -> None:
    prompt = asked("a cat", 5, negative="a dog")
    pipeline = StableDiffusionXLPipeline(
        vae=model.vae,
        text_encoder=model.text_encoder,
        text_encoder_2=model.text_encoder_2,
        tokenizer=model.tokenizer,
        tokenizer_2=model.tokenizer,
        unet=model.unet,
        scheduler=EulerDiscreteScheduler.from_config(model.scheduler_config),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt_embeds=prompt.context[None],
        pooled_prompt_embeds=prompt.pooled[None],
        negative_prompt_embeds=prompt.negative_context[None],
        negative_pooled_prompt_embeds=prompt.negative_pooled[None],
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(5),
    ).images[0]
    assert difference(expected, sampler.pictures([prompt])[0]) <= 1


def test_an_interruption_leaves_the_modules_as_they_were(model: SDXL, sampler: Sampler, asked: Encode) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    model.unet.train()
    with pytest.raises(KeyboardInterrupt):
        sampler.pictures([asked("a cat")], interrupt)
    assert model.unet.training
    assert sampler.pictures([asked("a cat")])[0].size == (64, 64)
    assert model.unet.training
