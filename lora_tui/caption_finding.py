"""Find and replace as people ask for it: a text, whole words, or a regular expression; capitals do not matter."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from engine.plan.find_replace import replaced

Way = Literal["text", "words", "pattern"]
WAYS: dict[Way, str] = {"text": "a text", "words": "whole words", "pattern": "a regular expression"}

FINDING_SECONDS = 0.5
"""So long a pattern may look through all captions: the keys wait for it."""


def replacing(find: str, by: str, way: Way) -> Callable[[str], str]:
    """What makes of a caption one in which `by` stands for `find`. Raises UserError as `replaced` does."""
    if way == "words":
        return replaced(_alone(find), by.replace("\\", r"\\"), regex=True, ignore_case=True)
    return replaced(find, by, regex=way == "pattern", ignore_case=True)


def finding(find: str, way: Way) -> Callable[[str], bool]:
    """Whether it stands in a caption; quick enough for thousands at every letter that is typed.

    Raises UserError `bad-pattern`, and so does what it gives: `slow-pattern`.
    """
    if way == "text":
        wanted = find.casefold()
        return lambda text: wanted in text.casefold()
    if way == "words":
        alone = re.compile(_alone(find), re.IGNORECASE)
        return lambda text: alone.search(text) is not None
    operation = replaced(find, _MARK, regex=True, ignore_case=True, seconds=FINDING_SECONDS)
    return lambda text: _MARK in operation(text)


_MARK = "\ufdd0"  # Unicode promises never to use it for a character


def _alone(words: str) -> str:
    """The pattern of words that are not a part of longer ones."""
    letter = r"[^\W_]"
    return f"(?<!{letter}){re.escape(words)}(?!{letter})"
