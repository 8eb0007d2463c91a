"""The words of a caption for those who correct it: where each stands, the letter by which it is picked. No Textual."""

from __future__ import annotations

import re
from collections.abc import Sequence

LABELS = "asdfghjklqwertyuiop"
"""Which letters words are picked by: those under resting fingers first. More at once would be over 2 KiB to send."""

Span = tuple[int, int]
_WORD = re.compile(r"[^\W_]+(?:['’_-][^\W_]+)*")


def words_of(text: str, begin: int = 0, end: int | None = None) -> list[Span]:
    """The places of the words that begin in this part of a text; what stands between them is no part of them."""
    found = _WORD.finditer(text, begin, len(text) if end is None else end)
    return [found_word.span() for found_word in found]


def labelled(spans: Sequence[Span], group: int = 0) -> dict[str, Span]:
    """Words by the letter that picks them, from the last one back: what is read last is corrected first.

    Of more words than letters, each `group` of 19 in its turn; empty behind the last.
    """
    begin = group * len(LABELS)
    return dict(zip(LABELS, spans[::-1][begin : begin + len(LABELS)], strict=False))


def without(text: str, span: Span) -> tuple[str, int]:
    """(the text without this part and without the blank that would stand there twice, where the cursor stands then)."""
    begin, end = span
    before, after = text[:begin], text[end:]
    if before.endswith(" ") and (not after or after[0] in " ,.;:"):
        before = before[:-1]
    elif not before and after.startswith(" "):
        after = after[1:]
    return before + after, len(before)


def word_at(text: str, place: int) -> Span:
    """The word in which the cursor stands or which ends there; empty at `place` where there is none."""
    begin = place
    while begin > 0 and not text[begin - 1].isspace() and text[begin - 1] != ",":
        begin -= 1
    spans = [span for span in words_of(text, begin, min(len(text), place + 80)) if span[0] <= place <= span[1]]
    return spans[0] if spans else (place, place)
