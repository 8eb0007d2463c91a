"""What there is to know of a caption while it is typed: its tokens, odd words, and what may come next. No Textual.

What takes long to load is loaded aside; until then there is less to tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lora_tui.caption_desk import Desk
from lora_tui.caption_words import Span, word_at, words_of

if TYPE_CHECKING:
    from engine.plan.tags import Frequencies

SHOWN = 4  # suggestions
FEWEST_LETTERS = 2  # typed of a word, before the rest of it is suggested
_BEGUN = re.compile(r"[^,.;]*$")


@dataclass(frozen=True)
class Suggestion:
    """text takes the place of `span`; others would fit as well."""

    span: Span
    text: str
    others: tuple[str, ...] = ()


class WordList:
    """How often each word is used, for captions that are sentences; a caption that changes is counted anew."""

    def __init__(self, texts: dict[Path, str]) -> None:
        from engine.plan.tags import Frequencies

        self._counts = Frequencies({path: _listed(text) for path, text in texts.items()})

    def update(self, path: Path, text: str) -> None:
        self._counts.update(path, _listed(text))

    def complete(self, beginning: str) -> list[str]:
        """Longer words that begin so, the most used first."""
        found = self._counts.complete(beginning, SHOWN + 1)
        return [word for word in found if word.casefold() != beginning.casefold()][:SHOWN]


def _listed(text: str) -> str:
    return ",".join({text[slice(*span)] for span in words_of(text[:20_000])})


class CaptionHelp:
    """Asked at every letter. `limit`: tokens that are read, as max_token_length says. `spelling`: whether words are
    looked up."""

    def __init__(self, desk: Desk) -> None:
        self.limit = 75
        self.spelling = False
        self._desk = desk
        self._counter = None
        self._preparing = False

    # --------------------------------------------------------------------------------------------------------- tokens
    def prepare(self, then: Callable[[], object]) -> None:
        """Load what counts tokens, and which words are used, in a thread; `then` is called when it is there."""
        from lora_tui.aside import aside

        if self._preparing:
            return
        self._preparing = True
        texts = self._desk.of(self._desk.entries)

        def load() -> WordList:
            return WordList(texts)

        def loaded(found: WordList) -> None:
            self._desk.words = found
            then()

        aside(load, loaded)

    def cut(self, text: str) -> int | None:
        """From which letter on nothing is read; None where all is, or while that is not known."""
        return self._counter.cut(text, self.limit) if self._counter is not None else None

    def tokens_told(self, text: str) -> tuple[str, bool]:
        """(`24 of 75 tokens`, whether those are too many)."""
        if self._counter is None:
            return "", False
        count = self._counter.count(text)
        return f"{count:,} of {self.limit} tokens", count > self.limit

    # ----------------------------------------------------------------------------------------------------- spelling
    def odd(self, text: str) -> list[Span]:
        """Words that no dictionary and no other caption knows."""
        return []

    # --------------------------------------------------------------------------------------------------- suggestions
    def suggestion(self, text: str, place: int, touched: bool) -> Suggestion | None:
        """What may be meant where the cursor stands: another spelling of an odd word, else the rest of a tag or word."""
        if not touched:
            return None
        place = min(place, len(text))  # the cursor may be of a text that is newer
        return self._tag(text, place) or self._word(text, place)

    def _tag(self, text: str, place: int) -> Suggestion | None:
        """The rest of the tag that is being typed: what is between two commas."""
        if text[place : place + 1] not in ("", ",", "."):
            return None
        found = _BEGUN.search(text, max(0, place - 100), place)
        begun = found.group().lstrip() if found is not None else ""
        if len(begun) < FEWEST_LETTERS:
            return None
        begin = place - len(begun)
        own = [tag.strip() for tag in text.split(",")[:200]]
        fitting = [tag for tag in self._desk.frequencies.complete(begun, SHOWN + 1, own) if len(tag) > len(begun)]
        return Suggestion((begin, place), fitting[0], tuple(fitting[1:SHOWN])) if fitting else None

    def _word(self, text: str, place: int) -> Suggestion | None:
        begin, end = word_at(text, place)
        if self._desk.words is None or place != end or end - begin < FEWEST_LETTERS:
            return None
        fitting = self._desk.words.complete(text[begin:end])
        return Suggestion((begin, end), fitting[0], tuple(fitting[1:])) if fitting else None

    def completed_tag(self, begun: str, own: list[str]) -> list[str]:
        """Tags that begin so and are not among `own`."""
        return self._desk.frequencies.complete(begun.strip(), SHOWN, [*own, begun.strip()])
