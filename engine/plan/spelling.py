"""Words that are spelt wrongly, where the library for it is installed: English, as CLIP's captions are."""

from __future__ import annotations

import importlib.util
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from engine.plan.errors import Finding
from engine.plan.word_list import WordList

FREQUENT = 3
"""A word that stands in so many captions is meant, as the trigger is."""

# Letters of English, with no other letter, digit or underscore at their ends: names in other scripts are not judged.
_WORD = re.compile(r"(?<!\w)[A-Za-z]+(?:['’][A-Za-z]+)*(?!\w)")
_SHORTEST, _LONGEST = 3, 40
_REMEMBERED = 4096
_LETTERS = "abcdefghijklmnopqrstuvwxyz'"  # that may be missing, or stand in another's place
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
    """Checks words. Loading takes a quarter of a second, and happens in a thread of its own.

    Until it is `ready`, and where the library is missing, every word is right. known: words that are right in any case,
    such as the trigger and the class.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = {word.lower() for text in known for word in _WORD.findall(text)}
        self._captions: Counter[str] = Counter()  # how many captions have each word
        self._dictionary: WordList | None = None
        self._edits: Callable[[str], set[str]] = lambda _word: set()
        self._working: threading.Thread | None = None
        self._suggested: dict[str, tuple[str, ...]] = {}

    def start(self, captions: Sequence[str] = ()) -> None:
        """Load in a thread, once, and count in which of the `captions` each word stands."""
        if available() is None and (self._working is None or not self._working.is_alive()):
            self._working = threading.Thread(target=self._work, args=(captions,), name="spelling", daemon=True)
            self._working.start()

    @property
    def ready(self) -> bool:
        """Whether words are checked by now."""
        return self._dictionary is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is ready, for programs that have the time."""
        if self._working is not None:
            self._working.join(seconds)
        return self.ready

    def unknown(self, words: Iterable[str]) -> set[str]:
        """Those of `words` that are in no dictionary, and in few captions."""
        dictionary = self._dictionary
        if dictionary is None:
            return set()
        return {word for word in words if not self._right(word, dictionary)}

    def marks(self, text: str) -> list[tuple[int, int]]:
        """Where words of a text begin and end that seem to be wrong."""
        dictionary = self._dictionary
        if dictionary is None:
            return []
        return [(start, end) for start, end in words_of(text) if not self._right(text[start:end], dictionary)]

    def suggestions(self, word: str, limit: int = 5) -> list[str]:
        """Words that differ by a letter, the most usual first; with a capital where `word` has one."""
        dictionary = self._dictionary
        if dictionary is None or not word or len(word) > _LONGEST:
            return []
        plain = word.lower()
        if plain not in self._suggested:
            found = {plain} if plain in dictionary else {one for one in self._edits(plain) if one in dictionary}
            best = sorted(found - {plain}, key=lambda one: (-dictionary.count(one), one))
            if len(self._suggested) >= _REMEMBERED:
                self._suggested.clear()
            self._suggested[plain] = tuple(best)
        shown = [one.capitalize() if word[0].isupper() else one for one in self._suggested[plain]]
        return shown[:limit]

    def _right(self, word: str, dictionary: WordList) -> bool:
        plain = word.lower().replace("’", "'")
        stem = plain.removesuffix("'s")
        return (
            len(plain) < _SHORTEST
            or not _WORD.fullmatch(word)
            or plain in self._known
            or self._captions[word.lower()] >= FREQUENT
            or plain in dictionary
            or stem in dictionary
            or stem in self._known
        )

    def _work(self, captions: Sequence[str]) -> None:
        counts: Counter[str] = Counter()
        for caption in captions:
            counts.update({word.lower() for word in _WORD.findall(caption)})
        self._captions = counts
        if self._dictionary is None:
            self._load()

    def _load(self) -> None:
        """The library's own dictionary takes 40 MB: its words are kept, and what finds similar ones."""
        from spellchecker import SpellChecker

        similar = SpellChecker(language=None, distance=_DISTANCE)
        similar.word_frequency.load_words([_LETTERS])
        self._edits = similar.edit_distance_1
        self._dictionary = WordList(SpellChecker(language="en", distance=_DISTANCE).word_frequency.dictionary)
