"""Tokens as the app counts them are those that the training reads, to the number and to the letter."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from engine.models.reading import CHUNK, Reading
from engine.models.tokenizer import MAX_TOKENS, clip_tokenizer, tokenizer_from
from engine.plan import clip_tokens
from engine.plan.base_model import BUILT_IN, recognise
from engine.plan.clip_tokens import Counter

TOKENIZER, COUNTER, WEIGHTED = clip_tokenizer(), Counter(), Counter(weighted=True)
LIMITS = (75, 150, 225)

ODD = [
    "ohwx", "Li4mG4ll4gher", "OHWX Man", "naïve café", "日本語", "한국어", "🙂", "👩‍👩‍👧", "🏳️‍🌈", "é",
    "e\u0301", "ﬁ", "Ǆ", "İ", "ß", "&amp;", "&lt;b&gt;", "<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>",
    "'s", "'S", "it's", "1.2", "2024",
    "½", "Ⅻ", "\x00", "\x1b[2J", "\x7f", "\u200b", "\u202e", "\ufeff", "\xa0", "\u3000", "\t", "\n", "\r\n", "\x85",
    "!", "!!", "...", "(", ")", "[", "]", "\\", ":1.2)", "(word:1.2)", "((", "[[b]]", "\\(", "_", "-", "</w>",
    "a</w>", "\ud800", "\ufdd0", "\U0010ffff", "ٱلْعَرَبِيَّة", "ไทย", "हिन्दी", "<b>", "#", "@",
]  # fmt: skip
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*ODD, " ", "  ", ", ", "a man", "hat", "x"]), max_size=40).map("".join),
    st.lists(st.sampled_from(ODD), max_size=40).map(" ".join),
)


def whole(text: str) -> str:
    """The same without halves of characters, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def inside(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    return list(tokenizer(text).input_ids[1:-1])


@settings(deadline=None, max_examples=600, derandomize=True)
@given(texts)
@example("<|endoftext|>a")
@example("a <|startoftext|> b")
def test_counts_are_those_of_transformers(text: str) -> None:
    text = whole(text)
    assert COUNTER.count(text) == len(inside(TOKENIZER, text))


@settings(deadline=None, max_examples=300, derandomize=True)
@given(texts)
def test_counts_with_weights_are_those_of_the_training(text: str) -> None:
    text = whole(text)
    tokens, _ = Reading(10_000 * CHUNK, weighted=True)._read(TOKENIZER, text)
    assert WEIGHTED.count(text) == len(tokens)


def test_counts_of_thousands_of_captions_are_those_of_transformers() -> None:
    dice = random.Random(5)
    words = [
        *ODD,
        *[
            "a",
            "photo",
            "of",
            "ohwx",
            "man",
            "wearing",
            "suit",
            "and",
            "red",
            "tie,",
            "standing",
            "in",
            "front",
            "of",
            "wooden",
            "house,",
            "portrait",
        ],
    ]
    made = [whole(" ".join(dice.choices(words, k=dice.randrange(60)))) for _ in range(2000)]
    assert [COUNTER.count(text) for text in made] == [len(ids) - 2 for ids in TOKENIZER(made).input_ids]


@pytest.mark.parametrize("text", ["a" * 100_000, "ohwx, " * 16_667, "🙂" * 25_000, "日本" * 50_000, " " * 100_000])
def test_a_hundred_thousand_characters(text: str) -> None:
    assert COUNTER.count(text) == len(inside(TOKENIZER, text))
    place = COUNTER.cut(text, 75)
    assert (place is None) == (COUNTER.count(text) <= 75)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_text_is_cut_where_the_training_stops_reading(limit: int) -> None:
    dice = random.Random(limit)
    for _ in range(100):
        text = " ".join(dice.choices(["ohwx", "man,", "Suit", "日本語", "café", "it's", "🙂", "(hat)"], k=limit))
        offsets = TOKENIZER(text, return_offsets_mapping=True).offset_mapping[1:-1]
        assert COUNTER.cut(text, limit) == (offsets[limit][0] if len(offsets) > limit else None)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(texts, st.integers(0, 12), st.booleans())
def test_what_comes_after_the_cut_does_not_matter(text: str, limit: int, weighted: bool) -> None:
    counter = WEIGHTED if weighted else COUNTER
    place = counter.cut(text, limit)
    assert (place is None) == (counter.count(text) <= limit)
    assert place is None or 0 <= place < len(text)


def test_brackets_of_weighted_captions_do_not_count() -> None:
    text = "(ohwx:1.2) man, " + "(hat:0.5), " * 40
    assert COUNTER.count(text) > WEIGHTED.count(text) == 3 + 80
    place = WEIGHTED.cut(text, 75)
    assert place is not None
    assert WEIGHTED.count(text[:place]) == 75
    assert text[place - 2 :].startswith(", (hat:0.5), ") or text[place:].startswith(("hat", ", "))


def test_chunks_are_as_long_as_the_trainings() -> None:
    assert clip_tokens.CHUNK == CHUNK == MAX_TOKENS - 2


def test_the_practice_model_counts_by_its_own_vocabulary() -> None:
    base = recognise(BUILT_IN)
    tokenizer = tokenizer_from(base.path / "tokenizer")
    assert tokenizer is not None
    counter = Counter.for_base(base)
    for text in ("ohwx man with a red hat", "Li4mG4ll4gher, portrait", "🙂 café"):
        assert counter.count(text) == len(inside(tokenizer, text))
    assert counter.count("portrait of a photographer") != COUNTER.count("portrait of a photographer")
    assert Counter.for_base(None).count("portrait of a photographer") == 4
