"""Why captions need attention: each reason, at once or one caption at a time, for thousands in a moment."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.caption_attention import CODES, Attention, look_at, repeated
from engine.plan.errors import inert

A, B, C = Path("a.png"), Path("b.png"), Path("c.png")


class Words:
    """Counts a word as a token, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def count(self, text: str) -> int:
        self.asked += 1
        return len(text.split())


def codes(attention: Attention, picture: Path = A) -> list[str]:
    return [reason.code for reason in attention.reasons(picture)]


def test_what_is_said_of_a_long_phrase_fits_beside_the_tokens_on_a_small_terminal() -> None:
    phrase = "a man in a red coat stands before a long brick wall with green windows"
    attention = look_at({A: f"ohwx, {phrase} and {phrase}"}, Attention("ohwx", 150, Words()))
    (reason,) = attention.reasons(A)
    assert reason.words.endswith("is said twice.")
    assert len(f" 132 of 150 tokens  {reason.words}") <= 80


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (None, ["empty"]),
        ("", ["empty"]),
        (" \t", ["empty"]),
        ("ohwx, a man", []),
        ("OHWX man", []),
        ("ohwxs man", ["no-trigger"]),
        ("a man", ["no-trigger"]),
        ("ohwx, ohwx man", ["trigger-twice", "repeated"]),
        ("ohwx, a man in a suit and a man in a suit", ["repeated"]),
        ("ohwx, red hat, sea, Red  hat", ["repeated", "spaces"]),
        ("ohwx and the the man", ["repeated"]),
        ("ohwx, a man  in a suit", ["spaces"]),
        ("ohwx,, a man", ["spaces"]),
        ("ohwx , a man", ["spaces"]),
        ("ohwx, a man,", ["spaces"]),
        ("ohwx " + "word%s " * 13 % tuple(range(13)) + "end", ["too-long"]),
    ],
)
def test_each_reason(caption: str | None, expected: list[str]) -> None:
    attention = Attention("ohwx", 14, Words())
    attention.update(A, caption)
    assert codes(attention) == expected
    assert attention.needs(A) == bool(expected)
    assert attention.needing() == [A] * bool(expected)


def test_what_cannot_be_read_is_the_only_reason() -> None:
    attention = look_at({A: None, B: None}, Attention("ohwx"))
    attention.update(A, None, "not-utf8")
    attention.update(B, None, "unreadable")
    assert (codes(attention, A), codes(attention, B)) == (["not-utf8"], ["unreadable"])
    assert attention.has(A, "not-utf8")
    assert not attention.has(A, "empty")


def test_what_is_said_of_a_caption_costs_the_same_however_many_are_alike() -> None:
    """Each row in sight asks, at each key."""
    looked_at = 0

    class Seen(PurePosixPath):
        def __eq__(self, other: object) -> bool:
            nonlocal looked_at
            looked_at += 1
            return super().__eq__(other)

        __hash__ = PurePosixPath.__hash__

    pictures = [Seen(f"{number:05}.png") for number in range(2_000)]
    attention = look_at(dict.fromkeys(pictures, "ohwx, a man"), Attention("ohwx"))  # type: ignore[arg-type]
    looked_at = 0
    (same,) = attention.reasons(pictures[1_000])  # type: ignore[arg-type]
    assert same.words == "It is the same as that of 00000.png, 00001.png, 00002.png and 1,996 more."
    assert looked_at < 20


def test_captions_that_are_alike_name_each_other_until_one_is_changed() -> None:
    attention = look_at({A: "ohwx, a man", B: "Ohwx,  a man", C: "ohwx, a cat"}, Attention("ohwx"))
    same = next(reason for reason in attention.reasons(A) if reason.code == "same")
    assert same.words == "It is the same as that of b.png."
    assert attention.number_equal == 2
    assert not attention.needs(A)
    attention.update(C, "ohwx, a man")
    assert attention.number_equal == 3
    attention.update(C, "ohwx, a cat")
    attention.update(B, "ohwx, a dog")
    assert codes(attention, A) == []
    attention.update(C, "ohwx, a man")
    assert attention.has(A, "same")
    attention.remove(C)
    assert attention.needing() == []
    assert attention.reasons(C) == ()


def test_tokens_are_counted_when_they_are_asked_for_and_once() -> None:
    counter = Words()
    attention = look_at({A: "one two three", B: "one two"}, Attention("", 2, counter))
    assert (attention.needs(A), counter.asked) == (False, 0)
    assert attention.reasons(A, count=False) == ()
    assert [attention.tokens(picture) for picture in attention.uncounted()] == [3, 2]
    assert list(attention.uncounted()) == []
    assert (attention.needing(), codes(attention), counter.asked) == ([A], ["too-long"], 2)
    attention.update(A, "one")
    assert list(attention.uncounted()) == [A]


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("a man in a suit and a man in a suit", "a man in a suit"),
        ("a red hat and a red hat", "a red hat"),
        ("a cat in front of a house in front of a tree", ""),
        ("on the left of the man a cat, on the left of the dog", ""),
        ("a man, a cat, a man", "a man"),
        ("very very red", "very very"),
        ("zibo, 1girl, long hair, hair ornament, blue eyes", ""),
        ("zibo, blue eyes, eyes closed", ""),
        ("zibo, a man, man", ""),
        ("zibo, red hat, hat ribbon in a red hat", ""),
        ("zibo, a girl, red dress, a dog, red dress shop", ""),
        ("zibo, zibo man", "zibo zibo"),
        ("sea, a man in a suit and a man in a suit", "a man in a suit"),
        ("3 3", ""),
        ("a man with a man's hat", ""),
        ("日本語、日本語", "日本語 日本語"),
        ("", ""),
    ],
)
def test_repeats(text: str, twice: str) -> None:
    assert repeated(text) == twice


pieces = st.sampled_from(["ohwx", " ", ",", "a man", " in a suit", "\x1b[0m", "[b]", "\u202e", "\n", "é", "\ud800"])
captions = st.none() | st.lists(pieces, max_size=12).map("".join) | st.text(max_size=20)


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), captions), max_size=10))
def test_what_was_changed_one_at_a_time_is_what_is_seen_at_once(steps: list[tuple[Path, str | None]]) -> None:
    changed, known = Attention("ohwx", 3, Words()), dict[Path, str | None]()
    for picture, caption in steps:
        changed.update(picture, caption)
        known[picture] = caption
    anew = look_at(known, Attention("ohwx", 3, Words()))
    for picture in known:
        found = changed.reasons(picture)
        assert [one.code for one in found] == [one.code for one in anew.reasons(picture)]
        assert [CODES.index(one.code) for one in found] == sorted(CODES.index(one.code) for one in found)
        assert all(inert(one.words) == one.words for one in found)
        assert changed.needs(picture) == any(one.code != "same" for one in found)
        assert changed.equal(picture) == any(one.code == "same" for one in found)
    assert changed.number_needing == anew.number_needing == len(anew.needing())
    assert changed.number_equal == anew.number_equal == sum(anew.equal(picture) for picture in known)


def test_a_hundred_thousand_characters_are_no_burden() -> None:
    attention = Attention("ohwx")
    began = time.process_time()
    for text in ("a" * 100_000, "a man " * 16_667, "," * 100_000, " " * 100_000, "ohwx" * 25_000, "ab" * 50_000):
        attention.update(A, text)
        attention.reasons(A)
    assert time.process_time() - began < 1


def test_ten_thousand_captions_are_looked_at_within_half_a_second() -> None:
    known = {
        Path(f"{n}.png"): f"ohwx, photo of a man number {n}, in a black suit and a red tie, at sea"
        for n in range(10_000)
    }
    began = time.process_time()
    attention = look_at(known, Attention("ohwx"))
    needing = attention.needing()
    assert time.process_time() - began < 1  # 0.25 s where nothing else runs
    assert needing == []
