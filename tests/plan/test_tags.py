"""Tags: how often, which begin so, which are one thing; the same whether counted at once or one caption at a time."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.tags import Frequencies, folded, join, split, synonyms

tags = st.sampled_from(["ohwx", "red hat", "Red hat", "red", "r", "hat", "Hut", "éa", "e\u0301a", "🙂", "\x1b[0m", "ß"])
lists = st.lists(tags | st.text(max_size=3), max_size=5).map(", ".join)


@pytest.mark.parametrize(
    ("text", "separator", "found"),
    [("a, b ,,c,", ",", ["a", "b", "c"]), ("", ",", []), ("a b", ",", ["a b"]), ("a|b, c", "|", ["a", "b, c"])],
)
def test_cutting(text: str, separator: str, found: list[str]) -> None:
    assert split(text, separator) == found
    assert split(join(found, separator), separator) == found


@given(st.lists(st.tuples(st.integers(0, 4), st.none() | lists), max_size=20))
def test_frequencies_that_were_changed_are_those_counted_anew(steps: list[tuple[int, str | None]]) -> None:
    changed, captions = Frequencies(), dict[object, str | None]()
    for key, caption in steps:
        changed.update(key, caption)
        captions[key] = caption
    anew = Frequencies(captions)
    assert changed.counts == anew.counts == Counter(tag for text in captions.values() for tag in {*split(text or "")})
    assert changed.most_common() == anew.most_common()
    assert [count for _, count in anew.most_common()] == sorted(anew.counts.values(), reverse=True)
    for beginning in ("", "r", "R", "re", "red h", "h", "é", "e\u0301", "\x1b", "zz"):
        expected = sorted(
            (tag for tag in anew.counts if folded(tag).startswith(folded(beginning))),
            key=lambda tag: (-anew[tag], tag),
        )
        assert changed.complete(beginning, 100) == anew.complete(beginning, 100) == expected
        assert changed.complete(beginning, 1, without=expected[:1]) == expected[1:2]


def test_many_tags_of_one_beginning_are_completed_by_their_frequency() -> None:
    captions = {n: f"tag {n:05}, tag {n % 7:05}" for n in range(5_000)}
    frequencies = Frequencies(captions)
    assert frequencies.complete("tag", 3) == ["tag 00000", "tag 00001", "tag 00002"]
    assert frequencies.complete("TAG  0499", 2) == ["tag 04990", "tag 04991"]


def test_fifty_thousand_tags_of_ten_thousand_captions_are_completed_at_once() -> None:
    dice = random.Random(1)
    names = [
        f"{dice.choice('abcdefghij')}{dice.choice('aeiou')}{dice.choice(['tag', 'hat'])} {n}" for n in range(50_000)
    ]
    captions = {n: join([*dice.sample(names, 15), *names[n * 5 : n * 5 + 5]]) for n in range(10_000)}
    frequencies = Frequencies(captions)
    assert len(frequencies) == 50_000
    for beginning in ("", "a", "ba", "bat", "beta", "dihat 1", "nothing"):
        began = time.thread_time()
        for _ in range(10):
            frequencies.complete(beginning)
        assert (time.thread_time() - began) / 10 < 0.003  # 1 ms, on a machine that has other things to do
    began = time.thread_time()
    for n in range(20):
        frequencies.update(n, join(names[n : n + 20]))
    assert (time.thread_time() - began) / 20 < 0.02


def test_spellings_to_merge() -> None:
    counts = {
        "t-shirt": 5, "tshirt": 2, "T-shirt": 1, "red hat": 3, "hat red": 1, "red_hat": 1, "hats": 1, "hat": 2,
        "glasses": 1, "glass": 1, "dresses": 1, "dress": 4, "bus": 1, "cities": 1, "city": 1, "solo": 9,
        "\x1b": 1, "-": 2,
    }  # fmt: skip
    assert [group.all for group in synonyms(counts)] == [
        ("t-shirt", "tshirt", "T-shirt"), ("dress", "dresses"), ("red hat", "hat red", "red_hat"), ("hat", "hats"),
        ("cities", "city"),
    ]  # fmt: skip


@given(st.dictionaries(tags | st.text(max_size=6), st.integers(1, 9), max_size=20))
def test_a_tag_is_in_one_group_at_most(counts: dict[str, int]) -> None:
    groups = synonyms(counts)
    everything = [tag for group in groups for tag in group.all]
    assert len(set(everything)) == len(everything)
    assert all(group.count == sum(counts[tag] for tag in group.all) for group in groups)
