"""How what a captioner says becomes a caption: words in front and behind joined with one comma, never a second time.

kohya joins with a space whatever the prefix ends in, so that the guide's "trigger, " gives two spaces, and a second run
puts the prefix there twice.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from engine.plan.captioning import TRIGGER_WORD, CaptioningOptions
from engine.plan.captions import has_word
from engine.plan.folders import Kind

Existing = Literal["keep", "append", "replace"]

_EDGES = " ,\t"
_LINKING = frozenset(
    ["a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "like", "of", "on", "the", "to", "with"]
)
"""A word behind one of these is part of a sentence."""
_ENDS_A_SENTENCE = (".", "!", "?", ":", ";")


def joined(prefix: str, said: str, suffix: str) -> str:
    """`said` between prefix and suffix, each only where it is not there already; "" where nothing is said.

    >>> joined("zibo, ", "a man", "")
    'zibo, a man'
    """
    text = _tidy(said)
    if not text:
        return ""
    prefix, suffix = _tidy(prefix), _tidy(suffix)
    if prefix and not _begins_with(text, prefix):
        text = _together(prefix, text)
    if suffix and not _ends_with(text, suffix):
        text = _together(text, suffix)
    return text


def caption_for(before: str, said: str, existing: Existing, prefix: str, suffix: str, trigger: str = "") -> str:
    """The caption that a picture gets: `before` is what it has, "" for none. "" where there is nothing to write.

    Appending what stands there already changes nothing, so a second run does no harm. trigger: a word that prefix or
    suffix shall not say a second time: what was said goes without it; where it has to stay, as in `before`, they do.
    """
    old, new = _tidy(before), _tidy(_without_controls(said))
    prefix, suffix = _tidy(prefix), _tidy(suffix)
    if not new:
        return ""
    once = bool(trigger) and has_word(f"{prefix} {suffix}", trigger)
    if once and not _begins_with(new, prefix):
        new = _bare(new, trigger)
    if existing == "append" and old:
        if once:
            old = _yielding(old, prefix, suffix, trigger)
        prefix = "" if _holds(old, prefix) and not _begins_with(old, prefix) else prefix
        suffix = "" if _holds(old, suffix) and not _ends_with(old, suffix) else suffix
        new = old if not new or _holds(old, new) else _together(_without_suffix(old, suffix), new)
    if once and has_word(_between(new, prefix, suffix), trigger):  # within a sentence, where it has to stay
        prefix = prefix if _begins_with(new, prefix) else _without_word(prefix, trigger)
        suffix = suffix if _ends_with(new, suffix) else _without_word(suffix, trigger)
    if not new:  # a file's name that was the trigger and nothing else
        return _together(prefix, suffix) if prefix and suffix else prefix or suffix
    return joined(prefix, new, suffix)


def affixes(options: CaptioningOptions, trigger: str, kind: Kind) -> tuple[str, str]:
    """(prefix, suffix) for a picture, with the trigger word filled in; regularisation pictures go without it."""
    word = trigger if kind == "train" else ""
    return _filled(options.prefix, word), _filled(options.suffix, word)


def _filled(text: str, word: str) -> str:
    return _tidy(re.sub(rf"\b{TRIGGER_WORD}\b", lambda _: word, text))


def _bare(text: str, word: str) -> str:
    """A text without a word at its ends, as `zibo_red_hat` and `red_hat_zibo` have it; in a sentence it stays."""
    letter = r"[^\W_]"
    text = _tidy(re.sub(rf"^{re.escape(word)}(?!{letter})", "", text, flags=re.IGNORECASE))
    shorter = _tidy(re.sub(rf"(?<!{letter}){re.escape(word)}$", "", text, flags=re.IGNORECASE))
    return text if shorter.rpartition(" ")[2].casefold() in _LINKING else shorter


def _yielding(text: str, prefix: str, suffix: str, word: str) -> str:
    """A text without a word that is its first tag where the prefix has it too, or its last one and the suffix has it:
    they come in its place."""
    first, _, rest = text.partition(",")
    if has_word(prefix, word) and not _begins_with(text, prefix) and first.strip().casefold() == word.casefold():
        text = _tidy(rest)
    rest, _, last = text.rpartition(",")
    if has_word(suffix, word) and not _ends_with(text, suffix) and last.strip().casefold() == word.casefold():
        text = _tidy(rest)
    return text


def _between(text: str, prefix: str, suffix: str) -> str:
    """A text without the prefix it begins with and the suffix it ends with."""
    text = text[len(prefix) :] if _begins_with(text, prefix) else text
    return text[: len(text) - len(suffix)] if suffix and _ends_with(text, suffix) else text


def _without_word(text: str, word: str) -> str:
    """What prefix or suffix say besides a word: "art of zibo" says "art"."""
    letter = r"[^\W_]"
    left = []
    for tag in text.split(","):
        rest = re.sub(rf"(?<!{letter}){re.escape(word)}(?!{letter})", "", tag, flags=re.IGNORECASE).split()
        while has_word(tag, word) and rest and rest[-1].casefold() in _LINKING:
            rest.pop()
        left.append(" ".join(rest))
    return _tidy(", ".join(left))


def _without_controls(text: str) -> str:
    """With a space for all that a terminal obeys, and for bytes of a file name that are not UTF-8."""
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text)


def _tidy(text: str) -> str:
    """Single spaces, one comma where several follow each other, none at either end."""
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"( ?,)+", ",", text).strip(_EDGES)


def _together(first: str, second: str) -> str:
    return f"{first} {second}" if first.endswith(_ENDS_A_SENTENCE) else f"{first}, {second}"


def _begins_with(text: str, prefix: str) -> bool:
    whole, begin = text.casefold(), prefix.casefold()
    return whole.startswith(begin) and not whole[len(begin) : len(begin) + 1].isalnum()


def _ends_with(text: str, suffix: str) -> bool:
    whole, end = text.casefold(), suffix.casefold()
    return whole.endswith(end) and not whole[: -len(end)][-1:].isalnum()


def _without_suffix(text: str, suffix: str) -> str:
    return _tidy(text[: -len(suffix)]) if suffix and _ends_with(text, suffix) and text != suffix else text


def _holds(text: str, part: str) -> bool:
    """Whether `part` stands in a text by itself: between commas, sentences or the ends."""
    alone = rf"(^|[,.!?:;] ?){re.escape(part.casefold())}($|,|(?<=[.!?:;]) )"
    return re.search(alone, text.casefold()) is not None
