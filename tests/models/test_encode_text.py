"""Captions become what diffusers' SDXL pipeline makes of them; with '!' in them, what sd-scripts makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from tests.micro_model import base_of

CAPTIONS = ["a man with red hair", "", "zibo, a photo of a man", "a " * 200]


@pytest.fixture(scope="module")
def model(micro_folder: Path) -> SDXL:
    return load(base_of(micro_folder))


def both(model: SDXL, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = model.token_ids(captions)
    return ids.first, ids.second


def test_padding_is_the_end_token_for_the_first_encoder_and_0_for_the_second(model: SDXL):
    first, second = both(model, CAPTIONS)
    start, end = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    assert first.shape == second.shape == (4, 77)
    assert first[1].tolist() == [start] + [end] * 76
    assert second[1].tolist() == [start, end] + [0] * 75
    assert first[0].tolist() == model.tokenizer(CAPTIONS[0], padding="max_length", max_length=77).input_ids


def test_long_captions_are_cut_at_75_tokens(model: SDXL):
    first, second = both(model, ["a " * 200])
    assert torch.equal(first, second)
    assert first[0, -1] == model.tokenizer.eos_token_id
    assert (first[0, 1:-1] == first[0, 1]).all()


def test_exclamation_marks_are_tokens_and_not_padding(model: SDXL):
    _, second = both(model, ["a man !"])
    end = second[0].tolist().index(model.tokenizer.eos_token_id)
    assert 0 not in second[0, :end].tolist()
    assert not second[0, end + 1 :].any()


@torch.no_grad()
def test_encoding_agrees_with_diffusers_pipeline(model: SDXL, micro_folder: Path):
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
    from transformers import CLIPTokenizer

    pipeline = StableDiffusionXLPipeline(
        vae=model.vae,
        text_encoder=model.text_encoder,
        text_encoder_2=model.text_encoder_2,
        tokenizer=CLIPTokenizer.from_pretrained(micro_folder / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(micro_folder / "tokenizer_2"),
        unet=model.unet,
        scheduler=EulerDiscreteScheduler.from_config(model.scheduler_config),
        add_watermarker=False,
    )
    context, pooled = model.encode_text(CAPTIONS)
    expected, _, expected_pooled, _ = pipeline.encode_prompt(CAPTIONS, do_classifier_free_guidance=False)
    assert context.shape == (4, 77, 128)
    assert pooled.shape == (4, 64)
    torch.testing.assert_close(context, expected, rtol=0, atol=0)
    torch.testing.assert_close(pooled, expected_pooled, rtol=0, atol=0)


@torch.no_grad()
def test_a_caption_alone_and_in_a_batch_is_encoded_alike(model: SDXL):
    together, _ = model.encode_text(CAPTIONS)
    alone, _ = model.encode_text(CAPTIONS[2:3])
    torch.testing.assert_close(together[2:3], alone)
