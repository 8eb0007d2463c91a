"""What becomes of a caption each time it is seen: the order and the results of sd-scripts' `process_caption`."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.caption_draws import CaptionRules, chosen
from engine.plan.draws import draw, happens
from engine.plan.settings import resolve


def drawn(caption: str, *, step: int = 1, epoch: int = 1, position: int = 0, **rules: object) -> str:
    return CaptionRules.from_settings(resolve({"caption_dropout_rate": 0.0}, rules)).drawn(
        caption, epoch=epoch, step=step, position=position
    )


def many(caption: str, count: int = 400, **rules: object) -> Counter[str]:
    return Counter(drawn(caption, step=step, **rules) for step in range(1, count + 1))


TAGS = "ohwx, red hat, blue coat, sea"


@pytest.mark.parametrize(
    ("caption", "rules", "words"),
    [
        (TAGS, {}, TAGS),
        ("a  b ,c", {}, "a  b ,c"),
        ("a", {"caption_prefix": "ohwx,"}, "ohwx, a"),
        ("a", {"caption_suffix": "painting"}, "a painting"),
        ("a", {"caption_prefix": "ohwx,", "caption_suffix": "by me"}, "ohwx, a by me"),
        ("", {"caption_prefix": "ohwx"}, "ohwx "),
        ("a", {"caption_prefix": "ohwx", "caption_dropout_rate": 1.0}, ""),
        ("first\nsecond", {}, "first"),
        ("a {b|c} {{d}}", {}, "a {b|c} {{d}}"),
        ("a {b} {{c}} }}", {"enable_wildcard": True}, "a b {c} }"),
        ("{} {a", {"enable_wildcard": True}, "{} {a"),
        ("red hat;;;blue coat, sea", {"secondary_separator": ";;;"}, "red hat,blue coat, sea"),
        ("a;b", {"secondary_separator": ";", "caption_separator": "/"}, "a/b"),
        # keep_tokens_separator does nothing where tags are neither mixed nor left out
        ("ohwx ||| a", {"keep_tokens_separator": "|||"}, "ohwx ||| a"),
        # rate 1 drops every tag that may go: what is left are those that stay
        (TAGS, {"caption_tag_dropout_rate": 1.0}, ""),
        (TAGS, {"caption_tag_dropout_rate": 1.0, "keep_tokens": 2}, "ohwx, red hat"),
        (TAGS, {"caption_tag_dropout_rate": 1.0, "keep_tokens": 9}, TAGS),
        ("ohwx ,man||| a, b", {"caption_tag_dropout_rate": 1.0, "keep_tokens_separator": "|||"}, "ohwx, man"),
        ("ohwx ||| a, b ||| c,,d", {"caption_tag_dropout_rate": 1.0, "keep_tokens_separator": "|||"}, "ohwx, c, d"),
        ("o|a|c|d", {"caption_tag_dropout_rate": 1.0, "keep_tokens_separator": "|"}, "o, c|d"),
        # the number counts only where a caption has no mark
        (TAGS, {"caption_tag_dropout_rate": 1.0, "keep_tokens_separator": "|||", "keep_tokens": 1}, "ohwx"),
        ("a|||b", {"caption_tag_dropout_rate": 1.0, "keep_tokens_separator": "|||", "keep_tokens": 5}, "a"),
        # another mark between tags; what is put together again always has a comma and a blank
        ("a/b, c/d", {"caption_separator": "/", "keep_tokens": 2, "caption_tag_dropout_rate": 1.0}, "a, b, c"),
        ("a;;;b,c", {"secondary_separator": ";;;", "keep_tokens": 1, "caption_tag_dropout_rate": 1.0}, "a,b"),
        # the prefix is a tag like the others
        ("a", {"caption_prefix": "ohwx,", "keep_tokens": 1, "caption_tag_dropout_rate": 1.0}, "ohwx"),
    ],
)
def test_what_a_caption_becomes(caption, rules, words):
    assert drawn(caption, **rules) == words


def test_shuffled_tags_come_in_every_order_and_kept_ones_stay():
    seen = many(TAGS, shuffle_caption=True, keep_tokens=1)
    assert len(seen) == 6
    assert all(words.startswith("ohwx, ") and sorted(words.split(", ")) == sorted(TAGS.split(", ")) for words in seen)
    assert min(seen.values()) > 400 / 6 / 2
    assert len(many(TAGS, shuffle_caption=True)) == 24


def test_marked_tags_stay_in_front_and_at_the_end_while_others_are_shuffled():
    seen = many("ohwx ||| a, b ||| sea", shuffle_caption=True, keep_tokens_separator="|||")
    assert set(seen) == {"ohwx, a, b, sea", "ohwx, b, a, sea"}


def test_tags_that_are_one_through_the_second_mark_stay_together():
    seen = many("a;;;b, c", shuffle_caption=True, secondary_separator=";;;")
    assert set(seen) == {"a,b, c", "c, a,b"}


def test_tags_are_dropped_at_the_rate_each_by_itself():
    seen = many("a, b", 2000, caption_tag_dropout_rate=0.25)
    for words, share in {"a, b": 0.5625, "a": 0.1875, "b": 0.1875, "": 0.0625}.items():
        assert seen[words] / 2000 == pytest.approx(share, abs=0.03)


def test_alternatives_and_lines_are_equally_likely():
    seen = many("a {red|blue} hat\nsea", 2000, enable_wildcard=True)
    for words, share in {"a red hat": 0.25, "a blue hat": 0.25, "sea": 0.5}.items():
        assert seen[words] / 2000 == pytest.approx(share, abs=0.04)


def test_doubled_braces_inside_alternatives_are_braces():
    assert {chosen("{a|{{b}}}", random.Random(n)) for n in range(20)} == {"a", "{b}"}


def test_prefix_and_suffix_go_to_the_first_and_the_last_line():
    assert set(many("a\nb", caption_prefix="x,", caption_suffix="y", enable_wildcard=True)) == {"x, a", "b y"}


def test_captions_are_hidden_at_the_rate():
    share = many("a", 4000, caption_dropout_rate=0.1)[""] / 4000
    assert share == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("every", "hidden"), [(0, []), (1, [1, 2, 3, 4, 5, 6]), (3, [3, 6])])
def test_captions_are_hidden_in_every_nth_epoch(every, hidden):
    epochs = [e for e in range(1, 7) if drawn("a", epoch=e, caption_dropout_every_n_epochs=every) == ""]
    assert epochs == hidden


def test_words_depend_on_seed_step_and_position_and_on_nothing_before_them():
    rules: dict[str, object] = {"shuffle_caption": True, "caption_tag_dropout_rate": 0.2, "enable_wildcard": True}
    caption = "{a|b|c}, d, e, f, g, h"

    def row(seed: int, position: int) -> list[str]:
        return [drawn(caption, step=step, position=position, seed=seed, **rules) for step in range(1, 9)]

    assert row(1, 0) == row(1, 0)
    assert len({tuple(row(seed, position)) for seed in (1, 2) for position in (0, 1)}) == 4


def test_switching_one_on_leaves_the_others_as_they_were():
    def hidden(**rules: object) -> list[bool]:
        return [drawn("a, b", step=s, caption_dropout_rate=0.3, **rules) == "" for s in range(1, 100)]

    assert hidden() == hidden(shuffle_caption=True, enable_wildcard=True)
    with_lines = [drawn("a\nb", step=s, enable_wildcard=True) for s in range(1, 50)]
    assert with_lines == [drawn("a\nb", step=s, enable_wildcard=True, shuffle_caption=True) for s in range(1, 50)]


@pytest.mark.parametrize(
    ("rules", "varies"),
    [
        ({}, False),
        ({"caption_dropout_rate": 0.5, "caption_dropout_every_n_epochs": 2, "caption_prefix": "a"}, False),
        ({"shuffle_caption": True}, True),
        ({"caption_tag_dropout_rate": 0.1}, True),
        ({"enable_wildcard": True}, True),
    ],
)
def test_words_that_vary_are_known_as_such(rules, varies):
    assert CaptionRules.from_settings(resolve(rules)).varies == varies


def test_all_words_that_are_possible_are_told_before():
    def possible(**rules: object) -> tuple[str, ...]:
        return CaptionRules.from_settings(resolve({"caption_dropout_rate": 0.0}, rules)).possible("a;b")

    assert possible() == ("a;b",)
    assert possible(caption_prefix="x,", secondary_separator=";") == ("x, a,b",)
    assert possible(caption_dropout_rate=0.1) == possible(caption_dropout_every_n_epochs=2) == ("a;b", "")


@given(
    st.text(alphabet="ab ,;|{}\n/", max_size=40),
    st.fixed_dictionaries(
        {
            "caption_prefix": st.sampled_from(["", "{x"]),
            "shuffle_caption": st.booleans(),
            "enable_wildcard": st.booleans(),
            "caption_tag_dropout_rate": st.sampled_from([0.0, 0.5]),
            "keep_tokens": st.integers(0, 5),
            "keep_tokens_separator": st.sampled_from(["", "|", "|||"]),
            "caption_separator": st.sampled_from([",", ";", " "]),
            "secondary_separator": st.sampled_from(["", ";", ","]),
        }
    ),
)
def test_any_caption_becomes_words_and_no_letter_is_made_up(caption, rules):
    words = drawn(caption, **rules)
    before = Counter(caption + rules["caption_prefix"])
    assert all(words.count(letter) <= before[letter] for letter in "abx")


def test_draws_are_the_same_on_every_machine():
    assert draw(42, "noise", 1, 0) == 8209245932938480369
    assert 0 <= draw(2**32 - 1, "caption", 10**7, 1023) < 2**63
    assert sum(happens(0.3, 1, "x", step, 0) for step in range(5000)) == pytest.approx(1500, abs=150)
    assert not happens(0.0, 1, "x", 1, 0)
    assert happens(1.0, 1, "x", 1, 0)
