"""Judging a trigger word without the tokenizer: a word that CLIP has a token of its own for means something already.

Read from the merges of CLIP's vocabulary, which stand in the order of how often they were needed: what a merge ends a
word with (`man</w>`) is one token. The last ones are rare (`ohwx`) and make good triggers. Words of one letter are not
in them, and are known.
"""

from __future__ import annotations

import lzma
import re
from functools import cache

from engine.plan.clip_vocabulary import read_clip_merges
from engine.plan.errors import Finding

_WORD_END = "</w>"
_RARE = 40_000  # of 48,894 merges: what comes after these the model has hardly met
_LONG = 20  # characters: by then it is some ten tokens of the 75 that a caption has


@cache
def known_words() -> frozenset[str]:
    """Words that the model has often met, in small letters. Takes some 60 ms the first time; empty without the file."""
    try:
        merges = read_clip_merges()[:_RARE]
    except (OSError, lzma.LZMAError, ValueError):
        return frozenset()
    joined = ("".join(merge) for merge in merges)
    return frozenset(word.removesuffix(_WORD_END) for word in joined if word.endswith(_WORD_END))


def judge(trigger: str, class_name: str = "") -> Finding | None:
    """What is wrong with a trigger word, or None."""
    words = [word for word in re.split(r"[\s_-]+", trigger.casefold()) if word]
    if not words:
        return Finding("no-trigger", "A trigger word is missing.", "Make one up, such as ohwx.", level="error")
    if class_name and trigger.casefold() == class_name.casefold():
        return Finding(
            "trigger-is-class",
            f'"{trigger}" is the class as well: every {trigger} would become your subject.',
            "Make up a word of its own.",
        )
    if len(words) == 1 and (words[0] in known_words() or len(words[0]) == 1):
        return Finding(
            "trigger-known",
            f'The model knows "{trigger}" already and will mix what it knows into your subject.',
            "A made-up word, such as the name with a letter changed to a digit, has no such past.",
        )
    if len(trigger) > _LONG:
        return Finding(
            "trigger-long", f'"{trigger}" is long and takes much of a caption.', "Four to eight letters are enough."
        )
    return None
