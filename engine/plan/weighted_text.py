"""Weights of words in a text, as A1111 writes them: `(word)`, `((word))`, `[word]`, `(word:1.2)`; captions and prompts.

A round bracket multiplies the weight of all in it by 1.1 or by the number before its end, a square one divides by 1.1.
A backslash takes a bracket's meaning away. Brackets that are never closed reach to the end (sd-scripts:
`TokenizeStrategy.parse_prompt_attention`), and beyond `DEEPEST` they are letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ROUND, SQUARE = 1.1, 1 / 1.1
DEEPEST = 20
"""Of each kind, so many brackets may be open at once; further ones are letters. A caption of a million brackets would
otherwise be weighed for hours."""
_PIECE = re.compile(
    r"\\(?P<literal>[()\[\]\\]?)"
    r"|:(?P<weight>[+-]?(?:\d{1,6}\.?\d{0,20}|\.\d{1,20}))\)"
    r"|(?P<bracket>[()\[\]])"
    r"|(?P<text>[^\\()\[\]:]+|:)"
)


@dataclass
class _Part:
    text: str
    start: int
    weight: float = 1.0


def weighted_parts(text: str) -> list[tuple[str, float]]:
    """The text in parts of one weight each, in order and without the brackets; neighbours of the same weight are one.

    At least one part, which may be empty.
    """
    return list(_joined(_pieces(text))) or [("", 1.0)]


def places(text: str) -> list[int]:
    """For each character of all parts, one after the other, where it stands in `text`."""
    return [place for part in _pieces(text) for place in range(part.start, part.start + len(part.text))]


def _pieces(text: str) -> list[_Part]:
    """The text without brackets in pieces of one weight each, with their places in it."""
    parts: list[_Part] = []
    open_brackets: dict[str, list[int]] = {"(": [], "[": []}

    def close(kind: str, factor: float) -> None:
        for part in parts[open_brackets[kind].pop() :]:
            part.weight *= factor

    for piece in _PIECE.finditer(text):
        bracket, weight = piece["bracket"], piece["weight"]
        if bracket in open_brackets and len(open_brackets[bracket]) < DEEPEST:
            open_brackets[bracket].append(len(parts))
        elif weight is not None and open_brackets["("]:
            close("(", float(weight))
        elif bracket == ")" and open_brackets["("]:
            close("(", ROUND)
        elif bracket == "]" and open_brackets["["]:
            close("[", SQUARE)
        else:
            literal = piece["literal"]
            parts.append(_Part(piece[0], piece.start()) if literal is None else _Part(literal, piece.start() + 1))
    for kind, factor in (("(", ROUND), ("[", SQUARE)):
        while open_brackets[kind]:
            close(kind, factor)
    return parts


def has_weights(text: str) -> bool:
    """Whether reading weights makes another text of it: some weight is not 1, or a bracket or backslash goes."""
    return weighted_parts(text) != [(text, 1.0)]


def _joined(parts: list[_Part]) -> Iterator[tuple[str, float]]:
    start = 0
    for end in range(1, len(parts) + 1):
        if end == len(parts) or parts[end].weight != parts[start].weight:
            yield "".join(part.text for part in parts[start:end]), parts[start].weight
            start = end
