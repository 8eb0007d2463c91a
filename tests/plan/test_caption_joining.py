"""Words in front of and behind a caption: one comma, one space, and never twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.caption_joining import Existing, affixes, caption_for, joined
from engine.plan.job_options import captioning

WORDS = st.text(alphabet="abAB ,.!-", max_size=12)


@pytest.mark.parametrize(
    ("prefix", "said", "suffix", "expected"),
    [
        ("Li4mG4ll4gher, ", "a man", "", "Li4mG4ll4gher, a man"),  # kohya: two spaces
        ("zibo,", " a man ", "", "zibo, a man"),
        ("zibo", "zibo, a man", "", "zibo, a man"),
        ("zibo", "Zibo, a man", "", "Zibo, a man"),
        ("zibo", "zibox, a man", "", "zibo, zibox, a man"),
        ("", "a  man ,, in a suit,", "", "a man, in a suit"),
        ("zibo", "", "", ""),  # kohya: a file with nothing but the prefix
        ("zibo", " , ", "photo", ""),
        ("A photo of zibo.", "A man smiles.", "", "A photo of zibo. A man smiles."),
        ("zibo", "a man", "studio light", "zibo, a man, studio light"),
        ("zibo", "zibo, a man, studio light", "studio light", "zibo, a man, studio light"),
        ("zibo", "zibo", "", "zibo"),
    ],
)
def test_joined(prefix: str, said: str, suffix: str, expected: str):
    assert joined(prefix, said, suffix) == expected


@given(prefix=WORDS, said=WORDS, suffix=WORDS)
def test_a_second_time_changes_nothing_and_nothing_is_doubled(prefix: str, said: str, suffix: str):
    once = joined(prefix, said, suffix)
    assert joined(prefix, once, suffix) == once
    assert "  " not in once
    assert ",," not in once
    assert once == once.strip(" ,")


@given(before=WORDS, said=WORDS, prefix=WORDS, suffix=WORDS)
def test_appending_twice_changes_nothing(before: str, said: str, prefix: str, suffix: str):
    once = caption_for(before, said, "append", prefix, suffix)
    assert caption_for(once, said, "append", prefix, suffix) == once or not once


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "zibo, a cat, end"),
        ("by hand", "zibo, by hand, a cat, end"),
        ("zibo, by hand, end", "zibo, by hand, a cat, end"),
        ("zibo, a cat, by hand", "zibo, a cat, by hand, end"),
        ("A sentence.", "zibo, A sentence. a cat, end"),
        ("a cat house", "zibo, a cat house, a cat, end"),
    ],
)
def test_appended(before: str, expected: str):
    assert caption_for(before, "a cat", "append", "zibo", "end") == expected


def test_the_trigger_word_is_filled_in_for_training_pictures_alone():
    options = captioning({"prefix": "TRIGGER, a photo", "suffix": "by TRIGGER"})
    assert affixes(options, "zibo", "train") == ("zibo, a photo", "by zibo")
    assert affixes(options, "zibo", "reg") == ("a photo", "by")
    assert affixes(options, r"a\1b", "train")[0] == r"a\1b, a photo"
    assert affixes(captioning({}), "", "train") == ("", "")


@pytest.mark.parametrize("existing", ["keep", "append", "replace"])
def test_what_a_terminal_obeys_gets_into_no_caption(existing: Existing):
    assert caption_for("", "a\x1b[31m red\x07\udcff hat", existing, "zibo", "") == "zibo, a [31m red hat"
    assert caption_for("", "عکس\u200cها 👨\u200d👩", existing, "", "") == "عکس\u200cها 👨\u200d👩"


@pytest.mark.parametrize(
    ("prefix", "said", "expected"),
    [
        ("photo of zibo", "zibo", "photo of zibo"),
        ("photo of zibo", "Zibo red hat", "photo of zibo, red hat"),
        ("photo of zibo", "photo of zibo, red hat", "photo of zibo, red hat"),
        ("photo of zibo", "a man", "photo of zibo, a man"),
        ("photo of zibo", "zibox", "photo of zibo, zibox"),
        ("zibo", "red hat zibo", "zibo, red hat"),
        ("zibo", "zibo", "zibo"),
        ("zibo, photo", "a portrait of zibo", "photo, a portrait of zibo"),
        ("photo", "zibo", "photo, zibo"),
    ],
)
def test_the_trigger_word_does_not_stand_twice(prefix: str, said: str, expected: str):
    for existing in ("keep", "append", "replace"):
        assert caption_for("", said, existing, prefix, "", "zibo") == expected


def test_the_trigger_word_does_not_stand_twice_in_what_is_added_to():
    assert caption_for("zibo, by hand", "zibo", "append", "photo of zibo", "", "zibo") == "photo of zibo, by hand"
    assert caption_for("zibo, by hand", "a cat", "append", "a zibo", "", "zibo") == "a zibo, by hand, a cat"
    assert caption_for("zibo", "", "append", "photo of zibo", "", "zibo") == ""


GUY = "zibo portrait, a tall guy standing in rain"


@pytest.mark.parametrize(
    ("before", "prefix", "suffix", "expected"),
    [
        (GUY, "", "zibo", f"{GUY}, man"),
        (GUY, "zibo", "", f"{GUY}, man"),
        (f"Portrait of {GUY}", "zibo", "zibo", f"Portrait of {GUY}, man"),
        ("zibo, by hand", "", "zibo", "zibo, by hand, man"),
        ("by hand, zibo", "zibo", "", "by hand, zibo, man"),
        ("by hand, zibo", "", "by zibo", "by hand, man, by zibo"),
        ("photo of zibo, rain", "art of zibo", "", "art, photo of zibo, rain, man"),
        ("photo of zibo, rain", "photo of zibo", "", "photo of zibo, rain, man"),
        ("photo of zibo, rain", "zibo, sharp", "", "sharp, photo of zibo, rain, man"),
        ("photo of zibo, rain", "a photo of zibo person", "", "a photo of person, photo of zibo, rain, man"),
        ("photo of zibo, rain", "", "drawn by zibo", "photo of zibo, rain, man, drawn"),
        ("zibo, studio light, rain", "zibo", "studio light", "zibo, studio light, rain, man"),
    ],
)
def test_added_to_own_words_stay_and_of_prefix_and_suffix_what_is_new_comes(
    before: str, prefix: str, suffix: str, expected: str
):
    once = caption_for(before, "man", "append", prefix, suffix, "zibo")
    assert once == expected
    assert caption_for(once, "man", "append", prefix, suffix, "zibo") == once


@given(before=WORDS, said=WORDS, prefix=WORDS, suffix=WORDS)
def test_appending_twice_changes_nothing_with_a_trigger_word(before: str, said: str, prefix: str, suffix: str):
    once = caption_for(before, said, "append", prefix, suffix, "a")
    assert caption_for(once, said, "append", prefix, suffix, "a") == once or not once
