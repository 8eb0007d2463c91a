"""Captions in rows, the words in them, and what a change does to them: plain functions, any text."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lora_tui.caption_diff import in_one_line, parts, side_by_side
from lora_tui.caption_rows import harmless, in_rows_of
from lora_tui.caption_words import labelled, without, word_at, words_of

TEXTS = st.text(max_size=200) | st.text(alphabet="ab ,漢\u0301\x1b", max_size=200)


@given(TEXTS, st.integers(2, 40))
def test_rows_hold_every_letter_once_and_none_is_too_wide(text: str, width: int) -> None:
    rows = in_rows_of(text, width)
    assert "".join(rows.text[slice(*rows.span(row))] for row in range(len(rows))) == harmless(text)
    assert all(cell_len(rows.text[slice(*rows.span(row))].rstrip(" ")) <= width for row in range(len(rows)))


@given(TEXTS, st.integers(2, 40))
def test_every_place_for_the_cursor_is_in_sight(text: str, width: int) -> None:
    rows = in_rows_of(text, width)
    for place in range(len(text) + 1):
        row = rows.row_of(place)
        begin, end = rows.span(row)
        assert begin <= place <= end
        assert rows.cell_of(place) <= width


def test_rows_end_between_words() -> None:
    rows = in_rows_of("a man in a red coat on a stage", 10)
    assert [rows.text[slice(*rows.span(row))] for row in range(3)] == ["a man in a ", "red coat ", "on a stage"]
    assert rows.at(1, 4) == len("a man in a red ")


def test_a_hundred_thousand_letters_take_no_time() -> None:
    began = time.process_time()
    for text in ("word " * 20_000, "x" * 100_000, "漢" * 100_000):
        in_rows_of(text, 78)
    assert time.process_time() - began < 1.0


@given(st.text(max_size=100))
def test_what_a_terminal_could_obey_is_a_question_mark(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 or letter in "\u202e\u2028" for letter in shown)


def test_words_are_picked_from_the_last_one_back() -> None:
    text = "ohwx, a red-haired man's coat"
    spans = words_of(text)
    assert [text[slice(*span)] for span in spans] == ["ohwx", "a", "red-haired", "man's", "coat"]
    assert labelled(spans)["a"] == spans[-1]


def test_a_word_goes_with_its_blank() -> None:
    assert without("a red coat", (2, 5)) == ("a coat", 1)
    assert without("a red, coat", (2, 5)) == ("a, coat", 1)
    assert without("a red", (2, 5)) == ("a", 1)
    assert without("red coat", (0, 3)) == ("coat", 0)
    assert word_at("a red coat", 5) == (2, 5)
    assert word_at("a  coat", 2) == (2, 2)


@given(TEXTS, TEXTS)
def test_the_pieces_of_a_change_make_both_texts(before: str, after: str) -> None:
    pieces = parts(before, after)
    assert "".join(text for kind, text in pieces if kind != "new") == before
    assert "".join(text for kind, text in pieces if kind != "gone") == after


def test_a_change_is_told_without_colours() -> None:
    before, after = "ohwx, in a red coat", "ohwx, in a blue coat"
    assert in_one_line(before, after, 60).plain == "ohwx, in a [-red-]{+blue+} coat"
    assert [row.plain for row in side_by_side(before, after, 60)] == [before, after]
    assert in_one_line(before, "ohwx, in a coat", 60).plain == "ohwx, in a [-red -]coat"
    assert in_one_line("blue, black coat", "black coat", 60).plain == "[-blue, -]black coat"
    assert in_one_line("a park", "a k", 60).plain == "a [-par-]k"
    assert in_one_line("a man", "a woman", 60).plain == "a [-man-]{+woman+}"
    assert in_one_line("coats", "coat", 60).plain == "[-coats-]{+coat+}"
    assert in_one_line("a coat", "a coat, a hat", 60).plain == "a coat{+, a hat+}"
    assert in_one_line(f"{before}, a hat", f"{after}, a hat", 30).plain == "ohwx, in a [-red-]{+blue+} co…"
    assert in_one_line(f"a man, {before}", f"a man, {after}", 30).plain == "… in a [-red-]{+blue+} coat"
    assert (
        in_one_line("x, a man in a kitchen, y", "x, q, y", 27).plain == "x, [-a man in a..-]{+q+}"
    )  # what comes is seen
    assert in_one_line("x, a man in a kitchen, y", "x, y", 20).plain == "[-a man in a kitche…"
    long = "x, " * 100
    assert side_by_side(long + before, long + after, 40)[0].plain.startswith("…")
