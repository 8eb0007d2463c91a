"""The options of captions, in trainings; what each makes of a caption stands in `tests/plan/test_caption_draws.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from engine.data.cache import Texts
from engine.data.text_source import EncodedAhead, EncodedInStep
from engine.models.checkpoint import load
from engine.models.reading import Reading
from engine.plan.caption_draws import CaptionRules
from engine.runs.resume import prepare
from tests.micro_model import base_of
from tests.training import Trained, Trainer, apart, same

CPU = torch.device("cpu")
IN_STEP: dict[str, Any] = {"cache_text_encoder_outputs": False, "train_batch_size": 1}


@pytest.fixture(scope="module")
def in_step(train: Trainer) -> Trained:
    """Captions encoded in the step, one picture a step."""
    return train(**IN_STEP)


@pytest.fixture(scope="module")
def ahead(train: Trainer) -> Trained:
    return train(train_batch_size=1)


def captioned(train: Trainer, *captions: str) -> Path:
    """A project whose four pictures have these captions (the last one again and again)."""
    project = train.project()
    for number, file in enumerate(sorted(project.glob("img/*/*.txt"))):
        file.write_text(captions[min(number, len(captions) - 1)], encoding="utf-8")
    return project


def test_option_cache_text_encoder_outputs(in_step: Trained, ahead: Trained) -> None:
    assert same(in_step.lora, ahead.lora)  # one at a time: to the bit
    assert in_step.losses == ahead.losses
    phases = [event for event in in_step.of("phase") if event["name"] == "encoding captions"]
    assert max(event.get("done") or 0 for event in phases) < 4  # the prompts of samples, but no caption


def test_captions_encoded_in_the_step_several_at_once_give_the_same_within_rounding(
    train: Trainer, plain: Trained
) -> None:
    assert apart(train(cache_text_encoder_outputs=False).lora, plain.lora) < 1e-3


def test_both_ways_draw_the_same_words(micro_folder: Path, tmp_path: Path) -> None:
    model = load(base_of(micro_folder))
    captions = [f"a, {n}" for n in range(6)]
    rules = CaptionRules(3, caption_dropout_rate=0.5, caption_prefix="ohwx,", caption_dropout_every_n_epochs=3)
    wanted = [text for caption in captions for text in rules.possible(caption)]
    encodings = Texts(tmp_path, model, CPU).load(wanted, lambda *_: None)
    for step, epoch in ((1, 1), (2, 2), (3, 3)):
        where = {"step": step, "epoch": epoch, "first_position": 4}
        one = EncodedAhead(rules, encodings, CPU).batch(captions, **where).encoded()
        other = EncodedInStep(rules, Reading(), model, CPU).batch(captions, **where).encoded()
        for first, second in zip(one, other, strict=True):
            torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)
        assert not other[0].requires_grad


def test_captions_that_change_are_refused_where_they_are_encoded_once(train: Trainer) -> None:
    run = train(shuffle_caption=True)
    assert run.code != 0
    assert "shuffle_caption" in run.end["message"]


def same_words(train: Trainer, before: str, after: str, **values: Any) -> None:
    """A training on captions `before` with the options equals one on captions `after` without them."""
    assert same(train(captioned(train, before), **values).lora, train(captioned(train, after)).lora)


def test_option_caption_prefix_and_caption_suffix(train: Trainer) -> None:
    same_words(train, "a man", "red, a man at sea", caption_prefix="red,", caption_suffix="at sea")


def test_option_caption_dropout_every_n_epochs(train: Trainer) -> None:
    run = train(max_train_epochs=2, caption_dropout_every_n_epochs=2)
    never, always = train(max_train_epochs=2), train(max_train_epochs=2, caption_dropout_rate=1.0)
    assert run.losses[:3] == never.losses[:3]
    assert run.losses[3:] != never.losses[3:]
    assert run.losses[:3] != always.losses[:3]
    assert run.lora.metadata["ss_caption_dropout_every_n_epochs"] == "2"


@pytest.fixture(scope="module")
def shuffled(train: Trainer) -> Trained:
    return train(**IN_STEP, shuffle_caption=True, keep_tokens=1)


def test_option_shuffle_caption(shuffled: Trained, in_step: Trained) -> None:
    assert shuffled.losses != in_step.losses
    assert shuffled.lora.metadata["ss_shuffle_caption"] == "True"
    assert in_step.lora.metadata["ss_shuffle_caption"] == "False"


def test_option_keep_tokens(train: Trainer, shuffled: Trained, in_step: Trained) -> None:
    """Three tags, of which the first stays or all stay."""
    assert train(**IN_STEP, shuffle_caption=True).losses != shuffled.losses
    assert train(**IN_STEP, shuffle_caption=True, keep_tokens=3).losses == in_step.losses
    assert shuffled.lora.metadata["ss_keep_tokens"] == "1"


def test_option_caption_tag_dropout_rate(train: Trainer, in_step: Trained) -> None:
    run = train(**IN_STEP, caption_tag_dropout_rate=1.0, keep_tokens=1)
    only_the_first = train(captioned(train, "ohwx"), **IN_STEP)
    assert run.losses == only_the_first.losses != in_step.losses
    assert run.lora.metadata["ss_caption_tag_dropout_rate"] == "1.0"


def test_option_keep_tokens_separator_and_caption_separator_and_secondary_separator(train: Trainer) -> None:
    options = {"keep_tokens_separator": "|||", "caption_separator": "/", "secondary_separator": ";"}
    run = train(captioned(train, "red;man/sea|||hat"), **IN_STEP, caption_tag_dropout_rate=1.0, **options)
    assert run.losses == train(captioned(train, "red/man, sea"), **IN_STEP).losses


def test_option_enable_wildcard(train: Trainer) -> None:
    run = train(captioned(train, "{red|blue}\n\nred"), **IN_STEP, enable_wildcard=True)
    red, blue = (train(captioned(train, colour), **IN_STEP).losses for colour in ("red", "blue"))
    assert run.losses[0] in (red[0], blue[0])
    assert run.losses != train(captioned(train, "{red|blue}\n\nred"), **IN_STEP).losses


def test_option_max_token_length(train: Trainer) -> None:
    long = "a man with red hair and a blue hat " * 12
    other_end = f"{long} at sea"

    def losses(caption: str, **values: Any) -> list[float]:
        return train(captioned(train, caption), **values).losses

    assert losses(long) == losses(other_end)
    assert losses(long, max_token_length=150) != losses(other_end, max_token_length=150)
    run = train(max_token_length=225)
    assert run.lora.metadata["ss_max_token_length"] == "225"


def test_option_weighted_captions(train: Trainer) -> None:
    def losses(caption: str, **values: Any) -> list[float]:
        return train(captioned(train, caption), **values).losses

    plain, read = losses("a man"), losses("a (man:1.5)", weighted_captions=True)
    assert losses("a (man:1.0)", weighted_captions=True) == plain
    assert len({tuple(x) for x in (plain, read, losses("a (man:1.5)"))}) == 3
    assert losses("a (man:1.5)", weighted_captions=True, **IN_STEP) == losses(
        "a (man:1.5)", weighted_captions=True, train_batch_size=1
    )


def test_prompts_of_samples_have_weights_and_the_captions_length(train: Trainer) -> None:
    def first_picture(prompt: str, **values: Any) -> bytes:
        run = train(sample_at_first=True, sample_prompts=(f"{prompt} --s 2",), **values)
        (file,) = run.run.samples_dir.iterdir()
        return Image.open(file).tobytes()

    assert first_picture("a (man:1.0)") == first_picture("a man") != first_picture("a (man:1.6)")
    assert first_picture("a man", max_token_length=150) != first_picture("a man")


def test_a_training_with_changing_captions_goes_on_as_if_it_had_never_been_stopped(train: Trainer) -> None:
    values: dict[str, Any] = {
        **IN_STEP,
        "shuffle_caption": True,
        "caption_tag_dropout_rate": 0.3,
        "enable_wildcard": True,
        "caption_dropout_rate": 0.2,
        "caption_dropout_every_n_epochs": 3,
    }
    captions = "ohwx, {red|blue} hat, a, b, c\nohwx, c, d"
    longer = train(captioned(train, captions), **values, max_train_epochs=3)
    project = captioned(train, captions)
    short = train.do(train.prepare(project, **values, max_train_epochs=1), project)
    prepare(short.run, {"max_train_epochs": 3})
    more = train.do(short.run, project)
    assert more.end["status"] == "finished"
    assert same(more.lora, longer.lora)
    assert longer.losses == [*short.losses, *more.losses[len(short.losses) :]]
