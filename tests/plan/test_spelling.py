"""Spelling: what is wrong is marked, what is meant is not, and nothing waits for the library."""

from __future__ import annotations

import importlib.util
import time

import pytest

from engine.plan.spelling import FREQUENT, Speller, available


@pytest.fixture(scope="module")
def speller() -> Speller:
    made = Speller(known=["ohwx", "Li4mG4ll4gher", "kimono-clad"])
    made.start()
    made.start()
    assert made.wait()
    return made


def marked(speller: Speller, text: str) -> list[str]:
    return [text[start:end] for start, end in speller.marks(text)]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("ohwx, a portriat of a man wearng a hat", ["portriat", "wearng"]),
        ("Li4mG4ll4gher, the man's T-shirt isn't red", []),
        ("the man’s hat", []),
        ("1girl xk9qz img_0023 3d bq", []),
        ("Standign in the SNOW", ["Standign"]),
        ("\x1b[31m qwxzzv\x1b[0m [bold]zzxxq[/bold]", ["qwxzzv", "zzxxq"]),
        ("日本語 kimono", []),
        ("", []),
        ("x" * 100_000, []),
    ],
)
def test_words_that_are_marked(speller: Speller, text: str, wrong: list[str]) -> None:
    assert marked(speller, text) == wrong
    assert speller.unknown(text.split()) >= {word for word in wrong if word in text.split()}


def test_suggestions_come_in_the_order_of_use_and_in_a_moment(speller: Speller) -> None:
    assert speller.suggestions("portriat") == ["portrait"]
    assert speller.suggestions("Standign") == ["Standing"]
    assert speller.suggestions("shrot", limit=2) == ["shot", "shoot"]
    assert speller.suggestions("") == speller.suggestions("x" * 1000) == []
    began = time.process_time()
    assert speller.suggestions("qqqqqqqqqqqqqqqqqq") == []
    assert time.process_time() - began < 0.2


def test_words_that_stand_in_many_captions_are_meant(speller: Speller) -> None:
    for count, wrong in ((FREQUENT - 1, ["zxqibo"]), (FREQUENT, []), (0, ["zxqibo"])):
        speller.start(["Zxqibo, a man, zxqibo"] * count)
        assert speller.wait()
        assert marked(speller, "zxqibo") == wrong


def test_until_it_is_loaded_every_word_is_right() -> None:
    fresh = Speller()
    assert not fresh.ready
    assert not fresh.wait()
    assert fresh.marks("portriat") == []
    assert fresh.unknown(["portriat"]) == set()
    assert fresh.suggestions("portriat") == []


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available() is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing = available()
    assert missing is not None
    assert "lora-tui[spell]" in missing.hint
    speller = Speller()
    speller.start()
    assert not speller.wait()
