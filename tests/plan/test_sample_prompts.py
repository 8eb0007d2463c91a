"""Prompt lines as kohya's tools write them."""

from __future__ import annotations

import re

import pytest

from engine.plan.errors import UserError
from engine.plan.sample_prompts import ANY_SEED, SamplePrompt, default_prompt, guide_prompt, parse, seeded, with_seed

DEFAULT = SamplePrompt("", 1024, 768, 42, steps=30, guidance=7.0)


def test_a_line_without_flags_is_a_prompt() -> None:
    assert parse("  ohwx, a photo of a man -- really, state-of-the-art  ", DEFAULT) == SamplePrompt(
        "ohwx, a photo of a man -- really, state-of-the-art", 1024, 768, 42, steps=30, guidance=7.0
    )


def test_every_flag() -> None:
    line = "a cat --n blurry, low - quality --w 512 --h 640 --d 7 --s 12 --l 3.5 --ss Euler a"
    whole = SamplePrompt("a cat", 512, 640, 7, "blurry, low - quality", 12, 3.5, "euler_a")
    assert parse(line, DEFAULT) == whole
    assert parse("a cat --N blurry, low - quality --W 512 --H 640 --D 7 --S 12 --L 3.5 --SS EULER_A") == whole


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("a --W 512", "width", 512),
        ("a --w 515", "width", 512),  # down to a multiple of 8
        ("a --s 0", "steps", 1),
        ("a --s 5000", "steps", 1000),
        ("a --l 1", "guidance", 1.0),
        ("a --d 0", "seed", 0),
        ("a --d 9223372036854775807", "seed", 2**63 - 1),
        ("a --n", "negative", ""),
        ("a --n  two  words ", "negative", "two  words"),
        ("a\t--s  4", "steps", 4),
        ("--w 512", "prompt", ""),
        ("n is a letter", "prompt", "n is a letter"),  # sd-scripts would take it for a negative prompt
        ("a --n one --n two", "negative", "two"),
        ("a --d -1", "seed", ANY_SEED),
        ("a --d Random --s 3", "seed", ANY_SEED),
        ("a --ss dpm++ 2m karras --s 3", "sampler", "DPM++ 2M Karras"),
        ("n blurry --s 3", "negative", ""),
        ("w 512 --s 3", "width", 1024),
    ],
)
def test_flags_are_read_with_care(line: str, field: str, value: object) -> None:
    assert getattr(parse(line, DEFAULT), field) == value


@pytest.mark.parametrize("line", ["a --zoom 3", "a --x", "a --width 512", "a --am ddim"])
def test_an_unknown_flag_is_named(line: str) -> None:
    flag = line.split()[1]
    with pytest.raises(UserError, match=flag) as error:
        parse(line, DEFAULT)
    assert error.value.code == "bad-prompt-line"
    assert "--w --h" in error.value.hint


@pytest.mark.parametrize(
    "flag",
    [
        "--d -2", "--d -5", "--d 1.5", "--d 9223372036854775808", "--d x", "--d", "--w 10", "--w 100000", "--w wide",
        "--h -64", "--s ten", "--s 2.5", "--l nan", "--l inf", "--l -1", "--l 1e9", "--l x", "--l",
        "--ss", "--ss eular q",
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_would_do(flag: str) -> None:
    with pytest.raises(UserError) as error:
        parse(f"a cat {flag} --s 3", DEFAULT)
    assert error.value.code == "bad-prompt-line"
    assert flag.split(maxsplit=1)[0] in error.value.message
    assert error.value.hint
    assert "literal" not in error.value.hint
    assert "convert" not in error.value.hint


@pytest.mark.parametrize(
    ("flag", "instead"),
    [("--g 3.5", "--l"), ("--cn a.png", "words"), ("--fs 3", "--ss"), ("--CTR 1", "--l"), ("--rcfg 1", "--l")],
)
def test_a_flag_of_other_models_is_named_with_what_to_use(flag: str, instead: str) -> None:
    with pytest.raises(UserError) as error:
        parse(f"a cat {flag} --s 3", DEFAULT)
    assert error.value.code == "bad-prompt-line"
    assert re.search(rf"{flag.split(maxsplit=1)[0]} is (the|where)", error.value.message)
    assert instead in error.value.hint


def test_another_seed_each_time_follows_from_the_training_alone() -> None:
    asked = parse("a cat --d -1", DEFAULT)
    seeds = {seeded(asked, 7, step, position).seed for step in (0, 2, 4) for position in (0, 1)}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seeded(asked, 7, 2, 1) == seeded(asked, 7, 2, 1)
    assert seeded(asked, 8, 2, 1) != seeded(asked, 7, 2, 1) != seeded(asked, 7, 2, 1, "asked")
    fixed = with_seed(asked, 3)
    assert seeded(fixed, 7, 2, 1) == fixed


def test_what_a_stranger_wrote_is_made_harmless() -> None:
    with pytest.raises(UserError) as error:
        parse("a \x1b[31mcat --q\x1b[0m 1", DEFAULT)
    assert "\x1b" not in str(error.value)


def test_defaults_suit_the_model() -> None:
    assert default_prompt("sdxl", 1024, 1024, 3) == SamplePrompt("", 1024, 1024, 3, "", 30, 7.0)
    assert default_prompt("micro", 96, 96, 3).guidance < 7.0


@pytest.mark.parametrize(
    ("trigger", "class_name", "prompt"),
    [
        ("ohwx", "man", "ohwx, a photo of a man"),
        ("", "man", "a photo of a man"),
        ("ohwx", "", "ohwx, a photo of a person"),
    ],
)
def test_the_guides_prompt(trigger: str, class_name: str, prompt: str) -> None:
    assert guide_prompt(trigger, class_name) == prompt


def test_the_default_size_is_one_that_the_model_can_draw() -> None:
    prompt = default_prompt("micro", 97, 103, 3)
    assert (prompt.width, prompt.height) == (96, 96)
