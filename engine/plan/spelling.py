"""Words that are spelt wrongly, where the library for it is installed: English, as CLIP's captions are."""

from __future__ import annotations

import importlib.util
import re
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.plan.errors import Finding

if TYPE_CHECKING:
    from spellchecker import SpellChecker

FREQUENT = 3
"""A word that stands in so many captions is meant, as the trigger is."""

# Letters of English, with no other letter, digit or underscore at their ends: names in other scripts are not judged.
_WORD = re.compile(r"(?<!\w)[A-Za-z]+(?:['’][A-Za-z]+)*(?!\w)")
_SHORTEST, _LONGEST = 3, 40
_REMEMBERED = 4096
_DISTANCE = 1  # letters that differ: two take seconds a word


def available() -> Finding | None:
    """None where words can be checked, else what is missing and how to get it."""
    if importlib.util.find_spec("spellchecker") is not None:
        return None
    return Finding(
        "no-spelling",
        "Spelling is not checked: the library pyspellchecker is not installed.",
        'Install it with pip install "lora-tui[spell]".',
        level="note",
    )


def words_of(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end that can be checked; those with digits, and other scripts, cannot."""
    return [found.span() for found in _WORD.finditer(text) if _SHORTEST <= len(found[0]) <= _LONGEST]


class Speller:
    """Checks words. Loading takes a quarter of a second and 30 MB, and happens in a thread of its own.

    Until it is `ready`, and where the library is missing, every word is right. known: words that are right in any case,
    such as the trigger and the class.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {word.lower() for text in known for word in _WORD.findall(text)}
        self._captions: Counter[str] = Counter()  # how many captions have each word
        self._words: dict[object, frozenset[str]] = {}
        self._checker: SpellChecker | None = None
        self._loading: threading.Thread | None = None
        self._suggested: dict[str, tuple[str, ...]] = {}

    def start(self) -> None:
        """Load in a thread, once."""
        if self._loading is None and available() is None:
            self._loading = threading.Thread(target=self._load, name="spelling", daemon=True)
            self._loading.start()

    @property
    def ready(self) -> bool:
        """Whether words are checked by now."""
        return self._checker is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is ready, for programs that have the time."""
        if self._loading is not None:
            self._loading.join(seconds)
        return self.ready

    def update(self, key: object, caption: str | None) -> None:
        """This is the caption of `key` now: its words count towards those that are frequent. None takes it out."""
        before = self._words.pop(key, frozenset())
        after = frozenset(word.lower() for word in _WORD.findall(caption or ""))
        if after:
            self._words[key] = after
        for word in before - after:
            self._captions[word] -= 1
        self._captions.update(after - before)

    def unknown(self, words: Iterable[str]) -> set[str]:
        """Those of `words` that are in no dictionary, and in few captions."""
        checker = self._checker
        if checker is None:
            return set()
        return {word for word in words if not self._right(word, checker)}

    def marks(self, text: str) -> list[tuple[int, int]]:
        """Where words of a text begin and end that seem to be wrong."""
        checker = self._checker
        if checker is None:
            return []
        return [(start, end) for start, end in words_of(text) if not self._right(text[start:end], checker)]

    def suggestions(self, word: str, limit: int = 5) -> list[str]:
        """Words that differ by a letter, the most usual first; with a capital where `word` has one."""
        checker = self._checker
        if checker is None or not word or len(word) > _LONGEST:
            return []
        plain = word.lower()
        if plain not in self._suggested:
            found = checker.candidates(plain) or set()
            best = sorted(found - {plain}, key=lambda one: (-checker.word_usage_frequency(one), one))
            if len(self._suggested) >= _REMEMBERED:
                self._suggested.clear()
            self._suggested[plain] = tuple(best)
        shown = [one.capitalize() if word[0].isupper() else one for one in self._suggested[plain]]
        return shown[:limit]

    def _right(self, word: str, checker: SpellChecker) -> bool:
        plain = word.lower().replace("’", "'")
        stem = plain.removesuffix("'s")
        return (
            len(plain) < _SHORTEST
            or not _WORD.fullmatch(word)
            or plain in self._known
            or self._captions[word.lower()] >= FREQUENT
            or plain in checker
            or stem in checker
            or stem in self._known
        )

    def _load(self) -> None:
        from spellchecker import SpellChecker

        checker = SpellChecker(language="en", distance=_DISTANCE)
        self._checker = checker
