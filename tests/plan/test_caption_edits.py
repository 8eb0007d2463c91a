"""What can be done to captions: nothing is said twice, nothing else changes, nothing is lost."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.plan import caption_edits as edits
from engine.plan.caption_edits import Change, Operation, changes
from engine.plan.errors import UserError, inert
from engine.plan.find_replace import SECONDS, replaced
from engine.plan.tags import folded, split

pieces = st.sampled_from(
    ["ohwx", "man", "a man", "Man", "mane", ",", ", ", " ,", ",,", " ", "  ", "red hat", "é", "[b]", "\x1b[0m", "1,000"]
)
captions = st.lists(pieces, max_size=10).map("".join) | st.text(max_size=30)
words = st.lists(pieces, min_size=1, max_size=3).map("".join)


@pytest.mark.parametrize(
    ("words", "text", "after"),
    [
        ("Li4mG4ll4gher, ", "a man", "Li4mG4ll4gher, a man"),
        ("Li4mG4ll4gher, ", "Li4mG4ll4gher, a man", "Li4mG4ll4gher, a man"),
        ("Li4mG4ll4gher,", "li4mg4ll4gher a man", "li4mg4ll4gher a man"),
        ("ohwx,", "  , a man", "ohwx, a man"),
        ("ohwx , ", "a man", "ohwx, a man"),
        ("photo of", "a man", "photo of a man"),
        ("photo of ", "photo of a man", "photo of a man"),
        ("a man", "a mane", "a man a mane"),
        ("ohwx, ", "", "ohwx"),
        ("  ", "a man", "a man"),
        (" , ", "a man", "a man"),
    ],
)
def test_prefix(words: str, text: str, after: str) -> None:
    assert edits.prefixed(words)(text) == after


@pytest.mark.parametrize(
    ("words", "text", "after"),
    [
        (", by me", "a man", "a man, by me"),
        (", by me", "a man,", "a man, by me"),
        ("by me", "a man, ", "a man, by me"),
        (", by me", "a man, By me", "a man, By me"),
        ("smiling", "a man", "a man smiling"),
        ("man", "a woman", "a woman man"),
        (", by me", "", "by me"),
        (" ", "a man ", "a man "),
    ],
)
def test_suffix(words: str, text: str, after: str) -> None:
    assert edits.suffixed(words)(text) == after


@given(words, captions)
@example("ohwx", "\x1f")
def test_words_are_put_there_once_and_the_caption_is_still_in_it(words: str, text: str) -> None:
    for operation in (edits.prefixed(words), edits.suffixed(words)):
        after = operation(text)
        assert operation(after) == after
        assert re.sub(r"^[\s,]+|[\s,]+$", "", text) in after  # blanks of any kind, as Python knows them
        if after != text:
            assert after.count(",,") <= text.count(",,") + words.count(",,")
            assert after.count("  ") <= text.count("  ") + words.count("  ")


@pytest.mark.parametrize(
    ("operation", "text", "after"),
    [
        (edits.without_tag("hat"), "ohwx, hat, red hat, hat", "ohwx, red hat"),
        (edits.without_tag("coat"), "ohwx,hat ,  x", "ohwx,hat ,  x"),
        (edits.renamed_tags(["tshirt", "T-shirt"], "t-shirt"), "a, tshirt, b, T-shirt", "a, t-shirt, b"),
        (edits.renamed_tags(["tshirt"], "t-shirt"), "t-shirt, a, tshirt", "t-shirt, a"),
        (edits.renamed_tags(["tshirt"], "t-shirt"), "a,b", "a,b"),
        (edits.renamed_tags(["a"], ""), "a, b", "b"),
        (edits.sorted_tags(), "c, a, B", "a, B, c"),
        (edits.sorted_tags("ohwx"), "ohwx, c, a", "ohwx, a, c"),
        (edits.sorted_tags("zibo"), "1boy, zibo, hat", "zibo, 1boy, hat"),
        (edits.sorted_tags("zibo"), "zibo man, hat, a coat", "zibo man, a coat, hat"),
        (edits.sorted_tags("zibo"), "zibo man, hat, Zibo", "Zibo, hat, zibo man"),
        (edits.sorted_tags("zibo"), "hat, 1boy", "1boy, hat"),
        (edits.without_repeated_tags(), "a, b, A, red  hat, red hat", "a, b, red  hat"),
        (edits.trimmed(), " a man , in  a suit,, smiling ,", "a man, in a suit, smiling"),
        (edits.trimmed(), "1,000 men", "1,000 men"),
        (edits.trimmed("|"), "a || b |", "a| b"),
        (edits.sorted_tags(separator=";"), "c; a,b", "a,b; c"),
    ],
)  # fmt: skip
def test_tags(operation: Operation, text: str, after: str) -> None:
    assert operation(text) == after


@given(captions)
def test_sorting_loses_no_tag(text: str) -> None:
    before = Counter(split(text))
    for operation in (edits.sorted_tags(), edits.sorted_tags("a")):
        assert Counter(split(operation(text))) == before
    assert [folded(tag) for tag in split(edits.without_repeated_tags()(text))] == list(
        dict.fromkeys(folded(tag) for tag in split(text))
    )


@given(captions)
def test_trimming_changes_no_word_and_is_done_once(text: str) -> None:
    after = edits.trimmed()(text)
    assert edits.trimmed()(after) == after
    assert after.replace(",", " ").split() == text.replace(",", " ").split()
    assert ",," not in after
    assert "  " not in after


def test_only_real_changes_are_told_as_they_will_be_written() -> None:
    known = {Path("a"): "x", Path("b"): None, Path("c"): "ohwx, y", Path("d"): ""}
    assert changes(known, edits.prefixed("ohwx,")) == [
        Change(Path("a"), "x", "ohwx, x"),
        Change(Path("b"), None, "ohwx"),
        Change(Path("d"), "", "ohwx"),
    ]
    assert changes(known, lambda text: f" {text}\n") == []
    assert changes({Path("a"): "x"}, lambda text: "a\r\nb\ud800") == [Change(Path("a"), "x", "a b\ufffd")]


# ------------------------------------------------------------------------------------------------- find and replace
@pytest.mark.parametrize(
    ("find", "by", "regex", "ignore_case", "after"),
    [
        ("man", "boy", False, False, "A boy, a Man (x)"),
        ("man", "boy", False, True, "A boy, a boy (x)"),
        ("(x)", r"\1", False, True, r"A man, a Man \1"),
        (r"\bm(an)\b", r"w\1", True, False, "A wan, a Man (x)"),
        (r"(?P<w>man)", r"\g<w>\g<w>", True, True, "A manman, a ManMan (x)"),
        (r"[,()]", "", True, False, "A man a Man x"),
        (r"\s+$", "", True, False, "A man, a Man (x)"),
    ],
)
def test_find_and_replace(find: str, by: str, regex: bool, ignore_case: bool, after: str) -> None:
    assert replaced(find, by, regex, ignore_case)("A man, a Man (x)") == after


@pytest.mark.parametrize(
    ("find", "where"),
    [
        ("(", "at character 2"),
        ("a)", "at character 2"),
        ("[z-a]", "at character 5"),
        ("*a", "at character 1"),
        ("a\\", "at character 3"),
        ("(?P<1>a)", "at character"),
        ("\x1b[31m(", "at character"),
        ("((((((a{100}){100}){100}){100}){100}){100})", "count too far"),
        ("a{999999999999}", "count too far"),
        ("(" * 1001, "More than 1,000 letters"),
        ("(" * 999, "nested too deeply"),
    ],
)
def test_a_pattern_that_is_none_is_told_with_the_place(find: str, where: str) -> None:
    with pytest.raises(UserError) as caught:
        replaced(find, "", regex=True)
    assert caught.value.code == "bad-pattern"
    assert where in caught.value.message
    assert inert(caught.value.message) == caught.value.message


@pytest.mark.parametrize("by", [r"\1", r"\g<x>", r"\q", "\\", r"\g<"])
def test_what_cannot_be_put_in_is_told(by: str) -> None:
    with pytest.raises(UserError) as caught:
        replaced("a", by, regex=True)("a")
    assert caught.value.code == "bad-pattern"


def test_nothing_cannot_be_found() -> None:
    with pytest.raises(UserError) as caught:
        replaced("", "x")
    assert caught.value.code == "nothing-to-find"


@pytest.mark.parametrize("find", [r"(x+x+)+y", r"((a|aa)+)+$", r"(?:(?:x+x+)+)+y|(.*?,){11}P"])
def test_a_pattern_that_runs_away_is_stopped(find: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.plan.find_replace.SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        changes({Path(str(n)): "x" * 5_000 + "a" * 60 + "!" for n in range(1000)}, replaced(find, "", regex=True))
    assert caught.value.code == "slow-pattern"
    assert time.monotonic() - began < 10 * SECONDS


@pytest.mark.parametrize("regex", [True, False])
def test_captions_that_would_grow_out_of_all_bounds_are_refused(regex: bool) -> None:
    known: dict[Path, str | None] = {Path(str(n)): "a" * 300 for n in range(10_000)}
    with pytest.raises(UserError) as caught:
        changes(known, replaced("a", "b" * 1000, regex=regex))
    assert caught.value.code == "caption-too-long"


def test_ten_thousand_captions_are_searched_within_the_time() -> None:
    known: dict[Path, str | None] = {Path(str(n)): f"ohwx, a man number {n} in a suit" for n in range(10_000)}
    assert len(changes(known, replaced(r"\bman number (\d+)", r"\1. man", regex=True, ignore_case=True))) == 10_000
