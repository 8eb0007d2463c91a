"""Weights of words: what A1111, sd-scripts and diffusers' community pipeline make of the same brackets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.weighted_text import has_weights, places, weighted_parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [("", 1.0)]),
        ("()", [("", 1.0)]),
        ("a man", [("a man", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("((red)) hat", [("red", 1.21), (" hat", 1.0)]),
        ("[red] hat", [("red", 1 / 1.1), (" hat", 1.0)]),
        ("(red hat:1.2), sea", [("red hat", 1.2), (", sea", 1.0)]),
        ("(red:0.5)(blue:.5)", [("redblue", 0.5)]),
        ("(red:-1)(blue:+2.)", [("red", -1.0), ("blue", 2.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        ("a [b (c", [("a ", 1.0), ("b ", 1 / 1.1), ("c", 1.0)]),
        ("closed) too] often", [("closed) too] often", 1.0)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        (r"(a\))", [("a)", 1.1)]),
        (r"a \b \\", [(r"a b " + "\\", 1.0)]),
        ("10:30 (at:noon)", [("10:30 ", 1.0), ("at:noon", 1.1)]),
        ("a:1.2) b", [("a:1.2) b", 1.0)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        (f"(a:{'9' * 400})", [(f"a:{'9' * 400}", 1.1)]),  # no weight that arithmetic could not bear
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
    ],
)
def test_brackets_and_numbers_are_weights(text, parts):
    found = weighted_parts(text)
    assert [words for words, _ in found] == [words for words, _ in parts]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in parts])


@pytest.mark.parametrize(
    ("text", "there"),
    [("a man", False), ("a: man", False), ("a) man", False), ("(a)", True), ("(a:1)", True), (r"a\b", True)],
)
def test_texts_with_weights_are_told_from_others(text, there):
    assert has_weights(text) == there


@given(st.text(alphabet="ab ()[]\\:.1,-é\n", max_size=60))
def test_any_text_can_be_read_and_loses_nothing_but_brackets_weights_and_backslashes(text):
    parts = weighted_parts(text)
    assert parts
    assert all(first[1] != second[1] for first, second in pairwise(parts))
    letters = "".join(words for words, _ in parts)
    assert [c for c in letters if c in "abé,\n"] == [c for c in text if c in "abé,\n"]


@given(st.lists(st.sampled_from([*"()[]\\:a ", ":1.2)", "\\(", "é"]), max_size=20).map("".join))
def test_each_character_of_the_parts_has_its_place_in_the_text(text: str) -> None:
    read, where = "".join(part for part, _ in weighted_parts(text)), places(text)
    assert [text[place] for place in where] == list(read)
    assert sorted(set(where)) == where
