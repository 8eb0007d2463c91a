"""What is pasted is text, whatever is in it, and in whichever pieces it arrives."""

from __future__ import annotations

import pytest
from textual import events

from lora_tui.clean_paste import BEGIN, END, Bracketed, CleanParser

PASTES = {
    "ab\x1b[31mred ü漢": "abred ü漢",
    "ab cd\x1b]0;x\x07 ef\nsecond line": "ab cd ef\nsecond line",
    "a\x1b]52;c;Zm9v\x1b\\b": "ab",
    "plain\ttext\nand more": "plain\ttext\nand more",
    "bell\x07 back\x08 nul\x00 c1\x9b5m": "bell back nul c15m",
    "early end" + END + "q\n": "early endq\n",
    "lone \x1b": "lone ",
}


# An end in the text can only be told from the real one where both are there already.
@pytest.mark.parametrize(
    ("pasted", "size"), [(text, size) for text in PASTES for size in (1, 2, 3, 7, 1000) if END not in text or size > 99]
)
def test_a_paste_is_one_text_without_sequences(pasted: str, size: int) -> None:
    stream, parser, seen = f"x{BEGIN}{pasted}{END}y", CleanParser(), []
    for start in range(0, len(stream), size):
        seen += list(parser.feed(stream[start : start + size]))
    told = [event.text if isinstance(event, events.Paste) else getattr(event, "character", event) for event in seen]
    assert told == ["x", PASTES[pasted], "y"]


def test_keys_outside_of_pastes_come_at_once_and_as_they_are() -> None:
    stream = Bracketed()
    for keys in ("\x1b", "\x1b[A", "\x1b[20", "\x1bOP", "abc", "\x1b[M !!"):
        assert stream.feed(keys) == keys
