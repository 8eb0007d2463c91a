"""What there is to know of a caption while it is typed: its tokens, odd words, and what may come next. No Textual.

What takes long to load is loaded aside, by whoever shows this; until then there is less to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.plan.clip_tokens import Counter
from engine.plan.errors import inert
from engine.plan.spelling import Speller
from lora_tui.caption_desk import Desk
from lora_tui.caption_words import Span, word_at

MOST_COUNTED = 5_000  # letters of a caption: CLIP reads a fifth of them at the most
WAITED_SECONDS = 30  # for the dictionary, which takes a quarter of a second
LAST_READ = 20  # letters that tell where the reading ends
SHOWN = 4  # suggestions
MOST_BEGUN = 100  # letters of a tag, before the rest of it is suggested
FEWEST_LETTERS = 2  # typed of a word, before the rest of it is suggested
_BEGUN = re.compile(r"[^,.;]*$")


@dataclass(frozen=True)
class Suggestion:
    """text takes the place of `span`; others would fit as well."""

    span: Span
    text: str
    others: tuple[str, ...] = ()


class CaptionHelp:
    """Asked at every letter. `limit`: tokens that are read, as max_token_length says. `spelling`: whether words are
    looked up."""

    def __init__(self, desk: Desk) -> None:
        self.limit = 75
        self.spelling = False
        self._desk = desk
        self._counter: Counter | None = None
        self._speller: Speller | None = None

    # --------------------------------------------------------------------------------------------------------- tokens
    def count_with(self, counter: Counter) -> None:
        """What counts tokens; its vocabulary has been read."""
        self._counter = counter

    def cut(self, text: str) -> int | None:
        """From which letter on nothing is read; None where all is, or while that is not known."""
        if self._counter is None:
            return None
        return self._counter.cut(text[:MOST_COUNTED], self.limit)

    def tokens_told(self, text: str) -> tuple[str, bool]:
        """(`24 of 75 tokens`, whether those are too many; of more the last words that are read are told too)."""
        if self._counter is None:
            return "", False
        count = self._counter.count(text[:MOST_COUNTED])
        more = "more than " if len(text) > MOST_COUNTED else ""
        last = self._last_read(text)
        told = f', read up to "{last}"' if last else ""
        return f"{more}{count:,} of {self.limit} tokens{told}", count > self.limit

    def _last_read(self, text: str) -> str:
        """`…red hat`, without a word of which only the beginning is read; "" where all is read."""
        cut = self.cut(text) or 0
        first, end = word_at(text, cut)
        read = text[: first if first < cut < end and cut - first < LAST_READ else cut].rstrip(" ,.;")
        begin = max(0, len(read) - LAST_READ)
        if begin and (blank := read.find(" ", begin - 1)) >= 0:
            begin = blank + 1
        return f"{'…' if begin else ''}{inert(read[begin:])}"

    # ----------------------------------------------------------------------------------------------------- spelling
    def spell(self, known: Iterable[str]) -> None:
        """Mark words from now on that no dictionary and no other caption knows."""
        self.spelling = True
        if self._speller is None:
            self._speller = Speller(known)
        captions = [text[:MOST_COUNTED] for text in self._desk.of(self._desk.entries).values() if text]
        self._speller.start(captions)

    def wait_for_spelling(self) -> bool:
        """Until words are looked up, for a thread."""
        return self._speller is not None and self._speller.wait(WAITED_SECONDS)

    def odd(self, text: str) -> list[Span]:
        """Words that no dictionary and no other caption knows."""
        return self._speller.marks(text[:MOST_COUNTED]) if self.spelling and self._speller is not None else []

    def _respelt(self, text: str, place: int) -> Suggestion | None:
        """What may be meant by the odd word in which the cursor stands, else by the first one."""
        odd = self.odd(text)
        if not odd or self._speller is None:
            return None
        span = next((span for span in odd if span[0] <= place <= span[1]), odd[0])
        meant = self._speller.suggestions(text[slice(*span)], SHOWN)
        return Suggestion(span, meant[0], tuple(meant[1:])) if meant else None

    # --------------------------------------------------------------------------------------------------- suggestions
    def suggestion(self, text: str, place: int, touched: bool) -> Suggestion | None:
        """What may be meant where the cursor stands: the rest of a tag or word, else another spelling of an odd one."""
        place = min(place, len(text))  # the cursor may be of a text that is newer
        typed = (self._tag(text, place) or self._word(text, place)) if touched else None
        return typed or self._respelt(text, place)

    def _tag(self, text: str, place: int) -> Suggestion | None:
        """The rest of the tag that is being typed."""
        begun = self._begun(text, place)
        if len(begun) < FEWEST_LETTERS:
            return None
        begin = place - len(begun)
        own = [tag.strip() for tag in text.split(self._desk.separator)[:200]]
        fitting = [tag for tag in self._desk.frequencies.complete(begun, SHOWN + 1, own) if len(tag) > len(begun)]
        return Suggestion((begin, place), fitting[0], tuple(fitting[1:SHOWN])) if fitting else None

    def _begun(self, text: str, place: int) -> str:
        """What is typed of a tag; "" where more of it follows. With commas between them a sentence ends one too."""
        separator, first = self._desk.separator, max(0, place - MOST_BEGUN)
        if separator == ",":
            found = _BEGUN.search(text, first, place) if text[place : place + 1] in ("", ",", ".") else None
            return found.group().lstrip() if found is not None else ""
        rest, mark = text[place : place + MOST_BEGUN], separator.strip()
        ends = not rest.strip() or (rest.lstrip().startswith(mark) if mark else rest.startswith(separator))
        return text[first:place].rpartition(separator)[2].lstrip() if ends else ""

    def _word(self, text: str, place: int) -> Suggestion | None:
        begin, end = word_at(text, place)
        learnt = self._desk.learnt
        if learnt is None or place != end or end - begin < FEWEST_LETTERS:
            return None
        begun = text[begin:end]
        known = learnt.words.complete(begun, SHOWN + 2)
        fitting = [word for word in known if len(word) > len(begun)][:SHOWN]
        return Suggestion((begin, end), fitting[0], tuple(fitting[1:])) if fitting else None

    def completed_tag(self, begun: str, own: list[str]) -> list[str]:
        """Tags that begin so and are not among `own`."""
        return self._desk.frequencies.complete(begun.strip(), SHOWN, [*own, begun.strip()])
