"""Captions become what diffusers' SDXL pipeline makes of them; with '!' in them, what sd-scripts makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.models.checkpoint import load
from engine.models.reading import CHUNK, Reading
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


# ---------------------------------------------------------------------------------------------------- long texts
LONG = "a man with red hair and a blue hat " * 12


@pytest.mark.parametrize("length", [150, 225])
def test_each_chunk_of_75_tokens_has_its_own_start_end_and_padding(model: SDXL, length: int):
    start, end = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    tokens = model.tokenizer(LONG).input_ids[1:-1]
    assert 75 < len(tokens) < 150
    ids = model.token_ids(["", LONG], Reading(length))
    chunks = length // CHUNK
    assert ids.first.shape == ids.second.shape == (2 * chunks, 77)
    empty, whole = ids.second[:chunks].tolist(), ids.second[chunks:].tolist()
    assert empty == [[start, end] + [0] * 75] * chunks
    assert whole[0] == [start, *tokens[:75], end]
    assert whole[1] == [start, *tokens[75:], end] + [0] * (150 - len(tokens))
    assert whole[2:] == [[start, end] + [0] * 75] * (chunks - 2)
    assert ids.first[chunks + 1].tolist() == [start, *tokens[75:], end] + [end] * (150 - len(tokens))
    assert ids.weights is None


def test_what_is_longer_than_the_limit_is_cut_off(model: SDXL):
    ids = model.token_ids(["a " * 500], Reading(225))
    letter, end = int(ids.first[0, 1]), model.tokenizer.eos_token_id
    assert ids.first[:, 1:].tolist() == [[letter] * 75 + [end]] * 3


@torch.no_grad()
def test_chunks_are_encoded_apart_and_put_together_without_what_is_between_them(model: SDXL):
    context, pooled = model.encode_text([LONG, "a man"], Reading(150))
    ids = model.token_ids([LONG, "a man"], Reading(150))
    assert context.shape == (2, 152, 128)
    for text in range(2):
        parts = [
            torch.cat(
                [
                    encoder(rows[2 * text + chunk][None], output_hidden_states=True).hidden_states[-2][0]
                    for encoder, rows in ((model.text_encoder, ids.first), (model.text_encoder_2, ids.second))
                ],
                dim=-1,
            )
            for chunk in range(2)
        ]
        expected = torch.cat([parts[0][:76], parts[1][1:]])
        torch.testing.assert_close(context[text], expected)
    _, of_the_first = model.encode_text([LONG, "a man"])
    torch.testing.assert_close(pooled, of_the_first)


# ---------------------------------------------------------------------------------------------------- weights
@torch.no_grad()
@pytest.mark.parametrize("restored", [False, True])
def test_hidden_states_are_multiplied_and_their_mean_is_kept_in_prompts(model: SDXL, restored: bool):
    reading = Reading(weighted=True, restored=restored)
    weighted, pooled = model.encode_text(["a (man:1.5) hat", "a dog"], reading)
    plain, plain_pooled = model.encode_text(["a man hat", "a dog"])
    ids = model.token_ids(["a (man:1.5) hat"], Reading(weighted=True))
    assert ids.weights is not None
    place = ids.weights[0] == 1.5
    assert 0 < int(place.sum()) < 75
    for part in (slice(0, 64), slice(64, 128)):  # the two encoders, each by itself
        before, after = plain[0, :, part], weighted[0, :, part]
        changed = before * ids.weights[0][:, None]
        if restored:
            torch.testing.assert_close(after, changed * (before.mean() / changed.mean()))
            torch.testing.assert_close(after.mean(), before.mean())
        else:
            torch.testing.assert_close(after, changed)
    assert torch.equal(weighted[1], plain[1])
    assert torch.equal(pooled, plain_pooled)


def test_weights_reach_their_own_tokens_in_every_chunk(model: SDXL):
    ids = model.token_ids([f"{LONG} (man:2)"], Reading(150, weighted=True))
    plain = model.token_ids([f"{LONG} man"], Reading(150))
    assert torch.equal(ids.first, plain.first)
    assert ids.weights is not None
    tokens = len(model.tokenizer(LONG).input_ids) - 2
    assert (ids.weights[0, 1 : tokens + 1] == 1).all()
    assert ids.weights[0, tokens + 1] == 2
    assert (ids.weights[0, tokens + 2 :].unique()).tolist() in ([1.0], [1.0, 2.0])


def test_without_weights_brackets_are_tokens(model: SDXL):
    assert model.token_ids(["a (man:1.5)"]).weights is None
    plain, read = (model.token_ids(["a (man:1.5)"], Reading(weighted=w)).first for w in (False, True))
    assert not torch.equal(plain, read)
    assert torch.equal(read, model.token_ids(["a man"]).first)
    assert torch.equal(
        model.token_ids([r"a \(man\)"], Reading(weighted=True)).first, model.token_ids(["a (man)"]).first
    )


@pytest.mark.parametrize(
    ("reading", "text", "key"),
    [
        (Reading(), "a (man)", ()),
        (Reading(weighted=True), "a man", ()),  # the same encoding as without weights, so the same entry
        (Reading(weighted=True), "a (man)", (75, "multiplied")),
        (Reading(weighted=True, restored=True), "a (man)", (75, True)),
        (Reading(weighted=True), r"a \(man", (75, "multiplied")),
        (Reading(225), "a man", (225, False)),
        (Reading(225, weighted=True), "[a]", (225, "multiplied")),
    ],
)
def test_what_changes_an_encoding_is_in_the_caches_key(reading: Reading, text: str, key: tuple[object, ...]):
    assert reading.key(text) == key
