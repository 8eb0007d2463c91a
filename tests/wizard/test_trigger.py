"""Which words make good triggers."""

from __future__ import annotations

import pytest

from engine.plan.trigger import judge, known_words


@pytest.mark.parametrize("word", ["ohwx", "sks", "zibo", "Li4mG4ll4gher", "zwx", "zibo portrait"])
def test_made_up_and_rare_words_are_fine(word: str) -> None:
    assert judge(word, "man") is None


@pytest.mark.parametrize("word", ["man", "Liam", "style", "photo", "x", "GALLAGHER"])
def test_words_that_the_model_has_met_often_are_warned_of(word: str) -> None:
    found = judge(word)
    assert found is not None
    assert found.code == "trigger-known"


@pytest.mark.parametrize(
    ("trigger", "class_name", "code"),
    [("", "man", "no-trigger"), (" - ", "", "no-trigger"), ("Hobbit", "hobbit", "trigger-is-class"),
     ("quxlibromanticus99x7zzz", "", "trigger-long")],
)  # fmt: skip
def test_other_faults(trigger: str, class_name: str, code: str) -> None:
    found = judge(trigger, class_name)
    assert found is not None
    assert found.code == code


def test_the_vocabulary_is_really_there() -> None:
    assert len(known_words()) > 20_000
