"""What a change does to a caption, in one line: what goes, what comes, and a few words around it. No Textual."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from engine.plan.errors import inert
from lora_tui.widgets.paint import BAD, DIM, GOOD, PLAIN, Part, line

Kind = Literal["same", "gone", "new"]
AROUND = 12  # letters before and after a change that are shown, where there is room
LEAST_AROUND = 3
LEAST_ROOM = 12  # cells beside the change; with fewer nothing else is shown
MOST_WORDS = 400  # in longer texts only the first and the last difference are looked for
GONE = Style(color=BAD.color)  # not bold: in a list of changes that is turned on and off in each row
_PIECES = re.compile(r"\s+|,|[^\s,]+")


def parts(before: str, after: str) -> list[tuple[Kind, str]]:
    """The two texts in pieces: what both have, what is only in the first, what is only in the second."""
    begin = 0
    shortest = min(len(before), len(after))
    while begin < shortest and before[begin] == after[begin]:
        begin += 1
    end = 0
    while end < shortest - begin and before[-1 - end] == after[-1 - end]:
        end += 1
    if begin + end in (len(before), len(after)):
        kind: Kind = "gone" if len(after) == begin + end else "new"
        longer = before if kind == "gone" else after
        if found := _one_piece(longer, begin, len(longer) - end, kind):
            return found
    # Whole words are compared: half a word that stayed says nothing.
    while begin > 0 and before[begin - 1].isalnum():
        begin -= 1
    while end > 0 and before[len(before) - end].isalnum():
        end -= 1
    found = [("same", before[:begin])]
    found += _inside(before[begin : len(before) - end], after[begin : len(after) - end])
    found.append(("same", before[len(before) - end :]))
    return [piece for piece in found if piece[1]]


def _one_piece(text: str, begin: int, end: int, kind: Kind) -> list[tuple[Kind, str]]:
    """Of a text from which something goes, or to which something comes: the piece, moved to the beginning of a word
    where it may as well be that one: [-blue, -]black, and not bl[-ue, bl-]ack. Empty where half a word comes, or only
    the end of one goes."""
    while begin > 0 and text[begin - 1].isalnum() and text[begin - 1] == text[end - 1]:
        begin, end = begin - 1, end - 1
    begins_in_word = 0 < begin < end and text[begin - 1].isalnum() and text[begin].isalnum()
    ends_in_word = begin < end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    if begins_in_word or (ends_in_word and kind == "new"):
        return []
    pieces: list[tuple[Kind, str]] = [("same", text[:begin]), (kind, text[begin:end]), ("same", text[end:])]
    return [piece for piece in pieces if piece[1]]


def _inside(before: str, after: str) -> list[tuple[Kind, str]]:
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    if len(old) > MOST_WORDS or len(new) > MOST_WORDS:
        return [("gone", before), ("new", after)]
    found: list[tuple[Kind, str]] = []
    for what, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            found.append(("same", "".join(old[i:j])))
        else:
            found += [("gone", "".join(old[i:j])), ("new", "".join(new[k:m]))]
    return found


def in_one_line(before: str, after: str, cells: int) -> Text:
    """`…in a [-red-]{+blue+} coat…` in at most `cells`; the brackets say it without colours too."""
    shown: list[tuple[str, Style]] = []
    pieces = parts(before, after)
    # What goes leaves room for what comes.
    longest = cells // 2 if any(kind == "new" for kind, _ in pieces) else cells
    pieces = [(kind, _cut(text, longest) if kind == "gone" else text) for kind, text in pieces]
    room = cells - sum([len(text) + 4 for kind, text in pieces if kind != "same"][:2])
    around = max(LEAST_AROUND, min(AROUND, room // 2 - 1)) if room >= LEAST_ROOM else 0
    for number, (kind, text) in enumerate(pieces):
        if kind == "same":
            # From its beginning where there is room for that: a list of captions shows the same letters there.
            whole = max(around, room - LEAST_AROUND) if number == 0 else around
            text = _shortened(text, around, whole, first=number == 0, last=number == len(pieces) - 1)
            shown.append((inert(text), PLAIN))
        elif kind == "gone":
            shown.append((f"[-{inert(text)}-]", GONE))
        else:
            shown.append((f"{{+{inert(text[:cells])}+}}", PLAIN))  # as all that will stand there
    return line(*_fitting(shown, cells))


def _cut(text: str, cells: int) -> str:
    return text if len(text) <= cells else f"{text[: cells - 2].rstrip()}.."


def _fitting(pieces: list[tuple[str, Style]], cells: int) -> Iterator[Part]:
    """As many as fit; the sign of what is cut off has the colour of that, which is not sent again for it."""
    for text, style in pieces:
        width = cell_len(text)
        if width > cells:
            yield f"{set_cell_size(text, max(0, cells - 1)).rstrip()}…", style
            return
        yield text, style
        cells -= width


def _shortened(text: str, around: int, whole: int, first: bool, last: bool) -> str:
    """Text that stays, reduced to the `around` letters next to a change where it is longer than `whole`."""
    if first and last:
        return text
    if not around and not (first and len(text) <= whole):
        return "" if first or last else " "  # no room but for what changes, whose brackets tell it
    if first:
        return text if len(text) <= whole else f"…{text[-around:]}"
    if last:
        return text if len(text) <= whole else f"{text[:around]}…"
    return text if len(text) <= 2 * around else f"{text[:around]}…{text[-around:]}"


def side_by_side(before: str, after: str, cells: int) -> tuple[Text, Text]:
    """The caption before and after, each in a line of at most `cells` that begins soon before the first change."""
    pieces = parts(before, after)
    first = len(pieces[0][1]) if pieces and pieces[0][0] == "same" else 0
    skipped = max(0, first - AROUND) if max(len(before), len(after)) > cells - 10 else 0
    rows = []
    for other, style in (("new", GONE), ("gone", GOOD)):
        row = line(("…" if skipped else "", DIM))
        left = skipped
        for kind, text in pieces:
            if kind == other:
                continue
            text, left = text[left:], max(0, left - len(text))
            row.append(inert(text[:cells]), PLAIN if kind == "same" else style)
        rows.append(row)
    return rows[0], rows[1]
