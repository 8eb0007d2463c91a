"""Why a caption needs somebody to look at it: each caption by itself, and those that are alike.

One caption is changed at a time, and only what follows from it is looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal, Protocol

from engine.plan import tags
from engine.plan.errors import few, inert

Code = Literal[
    "unreadable", "not-utf8", "empty", "no-trigger", "trigger-twice", "too-long", "repeated", "spaces", "lines", "same"
]

CODES: tuple[Code, ...] = (
    "unreadable", "not-utf8", "empty", "no-trigger", "trigger-twice", "too-long", "repeated", "spaces", "lines", "same",
)  # fmt: skip
"""The worst first. "same" is the least: pictures may well show the same, and then their captions are rightly equal.
"lines" is said by who knows the file: of a caption here its text is known, and that is one line."""

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_PHRASE = 3
"""So many words in the same order are a phrase; fewer repeat in any good sentence."""
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at by for from front her his in is it its left of on one or other right side that the their "
        "there this to top two up with",
    )
)
_NAMED = 3  # pictures that have the same caption
_DOUBLED = re.compile(r"\s\s|,\s?,|\s,|^,|,\s?$")
_READ = 5_000
"""Characters of a caption that are looked at for repeats; CLIP reads some 1,000 of them."""


class TokenCounter(Protocol):
    """`clip_tokens.Counter`."""

    def count(self, text: str) -> int:
        """The tokens of a text."""


@dataclass(frozen=True)
class Reason:
    """Why a caption needs attention. words: a sentence."""

    code: Code
    words: str


@dataclass
class _Known:
    text: str  # until its tokens were counted
    name: bytes  # the same for captions that CLIP reads alike
    problem: Reason | None
    reasons: tuple[Reason, ...]
    tokens: int | None = None


@dataclass
class Attention:
    """The captions of a data set with what is to be said of each.

    trigger: "" where there is none, or where it need not be in the captions (regularisation). max_tokens: what is read
    of a caption, 75, 150 or 225. counter: counts tokens, when they are asked for; None leaves lengths alone. others:
    the trigger words of the folders that show another subject; the project's own does for their captions too.
    """

    trigger: str = ""
    max_tokens: int = 75
    counter: TokenCounter | None = None
    separator: str = ","
    others: Mapping[Path, str] = field(default_factory=dict)
    number_equal: int = field(default=0, init=False)  # captions that are equal to another
    _captions: dict[Path, _Known] = field(default_factory=dict)
    _alike: dict[bytes, dict[Path, None]] = field(default_factory=dict)
    _needing: set[Path] = field(default_factory=set)
    _patterns: dict[str, re.Pattern[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        letter = r"[^\W_]"
        for trigger in {self.trigger, *self.others.values()} if self.trigger else ():
            self._patterns[trigger] = re.compile(rf"(?<!{letter}){re.escape(trigger.casefold())}(?!{letter})")

    def update(self, picture: Path, caption: str | None, problem: Literal["", "not-utf8", "unreadable"] = "") -> None:
        """This is the caption of a picture now; None where it has none. problem: why it could not be read."""
        self.remove(picture)
        text = caption or ""
        odd = _PROBLEMS[problem] if problem else None
        reasons = () if odd is not None else tuple(self._alone(picture, text))
        name = b"" if odd is not None else _name(text)
        self._captions[picture] = _Known(text, name, odd, reasons)
        if name:
            same = self._alike.setdefault(name, {})
            same[picture] = None
            self.number_equal += _more_equal(len(same))
        if odd is not None or reasons:
            self._needing.add(picture)

    def remove(self, picture: Path) -> None:
        """The picture is gone."""
        known = self._captions.pop(picture, None)
        self._needing.discard(picture)
        if known is None or not known.name:
            return
        same = self._alike[known.name]
        self.number_equal -= _more_equal(len(same))
        del same[picture]
        if not same:
            del self._alike[known.name]

    def reasons(self, picture: Path, *, count: bool = True) -> tuple[Reason, ...]:
        """All that is to be said of a picture's caption, the worst first; nothing for one that is not known.

        With `count` its tokens are counted, if they have not been: some 0.1 ms, and 0.1 s the very first time.
        """
        known = self._captions.get(picture)
        if known is None:
            return ()
        if known.problem is not None:
            return (known.problem,)
        found = [*known.reasons, *self._same(picture, known), *self._long(picture, known, count)]
        return tuple(sorted(found, key=lambda reason: CODES.index(reason.code)))

    def needs(self, picture: Path) -> bool:
        """Whether more is to be said than that it is equal to another, as far as tokens were counted."""
        return picture in self._needing

    def equal(self, picture: Path) -> bool:
        """Whether another picture has the same caption."""
        known = self._captions.get(picture)
        return known is not None and len(self._alike.get(known.name, ())) > 1

    def has(self, picture: Path, code: Code) -> bool:
        """Whether this is one of the reasons, as far as tokens were counted."""
        return any(reason.code == code for reason in self.reasons(picture, count=False))

    def needing(self) -> list[Path]:
        """The pictures whose captions need attention, in the order they were given."""
        return [picture for picture in self._captions if picture in self._needing]

    @property
    def number_needing(self) -> int:
        """How many need attention; known at once."""
        return len(self._needing)

    def tokens(self, picture: Path) -> int | None:
        """How many tokens a caption has; None without a counter."""
        known = self._captions.get(picture)
        if known is None or self.counter is None:
            return None
        self._count(picture, known)
        return known.tokens

    def _count(self, picture: Path, known: _Known) -> None:
        text = known.text  # before the question: another thread that has counted it empties it after its answer
        if known.tokens is None and self.counter is not None:
            known.tokens = self.counter.count(text)
            known.text = ""
            if known.tokens > self.max_tokens and self._captions.get(picture) is known:
                self._needing.add(picture)

    def uncounted(self) -> Iterator[Path]:
        """The pictures whose tokens were not counted yet; take some at a time and ask `tokens` of each."""
        if self.counter is not None:
            yield from [picture for picture, known in self._captions.items() if known.tokens is None]

    def _alone(self, picture: Path, text: str) -> Iterator[Reason]:
        if not text.strip():
            yield Reason("empty", "It is empty.")
            return
        yield from self._on_trigger(picture, text.casefold())
        if again := repeated(text, self.separator):
            yield Reason("repeated", f'"{inert(again, 36)}" is said twice.')
        if _DOUBLED.search(text):
            yield Reason("spaces", "It has spaces or commas too many.")

    def _on_trigger(self, picture: Path, small: str) -> Iterator[Reason]:
        if not self.trigger:
            return
        trigger = self.others.get(picture.parent, self.trigger)
        for word in (trigger, self.trigger):
            times = len(self._patterns[word].findall(small))
            if times > 1:
                yield Reason("trigger-twice", f'The trigger word "{inert(word)}" is in it {times} times.')
            if times:
                return
        yield Reason("no-trigger", f'The trigger word "{inert(trigger)}" is not in it.')

    def _same(self, picture: Path, known: _Known) -> Iterator[Reason]:
        same = self._alike.get(known.name, {})
        if len(same) > 1:
            # Maybe by thousands, and each row in sight asks: no more of them are looked at than are named.
            first = list(islice((inert(one.name) for one in same if one is not picture and one != picture), _NAMED))
            yield Reason("same", f"It is the same as that of {few(first, _NAMED, len(same) - 1)}.")

    def _long(self, picture: Path, known: _Known, count: bool) -> Iterator[Reason]:
        if count:
            self._count(picture, known)
        if known.tokens is not None and known.tokens > self.max_tokens:
            yield Reason("too-long", f"It has {known.tokens:,} tokens; what comes after {self.max_tokens} is not read.")


def _name(text: str) -> bytes:
    """Of captions there may be thousands, and whole ones would be kept twice for this. b"" for an empty one."""
    alike = tags.folded(text)
    return blake2b(alike.encode("utf-8", "surrogatepass"), digest_size=16).digest() if alike else b""


def _more_equal(alike: int) -> int:
    """How many captions more are equal to another, now that so many are alike."""
    return 0 if alike < 2 else 2 if alike == 2 else 1


def look_at(captions: Mapping[Path, str | None], attention: Attention) -> Attention:
    """The same `attention` with all these captions."""
    for picture, caption in captions.items():
        attention.update(picture, caption)
    return attention


def repeated(text: str, separator: str = ",") -> str:
    """What a caption says twice: a tag, or within a tag a word twice in a row or a phrase ("a man in a suit"); "" for
    nothing. Tags share words rightly, as `long hair, hair ornament` do, unless the first stands before the second once
    more, as a prefix does before a caption that had it."""
    text = text[:_READ].lower()
    parts = tags.split(text, separator) if separator in text else [text]
    seen: set[str] = set()
    for tag in parts if len(parts) > 1 else ():
        name = " ".join(tag.split())
        if name in seen:
            return name
        seen.add(name)
    said = [_WORD.findall(part) for part in parts]
    if len(said) > 1 and len(said[0]) == 1:
        said[:2] = [said[0] + said[1]]
    for words in said:
        for first, second in pairwise(words):
            if first == second and not first.isdigit():
                return f"{first} {second}"
    return next(filter(None, map(_phrase, said)), "")


def _phrase(words: Sequence[str]) -> str:
    """The first phrase that comes again, as long as it is the same, where it has words in it that mean something."""
    phrases = list(zip(words, words[1:], words[2:], strict=False))
    if len(set(phrases)) == len(phrases):
        return ""
    places: dict[tuple[str, ...], int] = {}
    for place, phrase in enumerate(phrases):
        before = places.setdefault(phrase, place)
        if before + _PHRASE > place:
            continue
        length = _PHRASE
        while (
            place + length < len(words) and before + length < place and words[before + length] == words[place + length]
        ):
            length += 1
        said = words[place : place + length]
        if sum(word not in _SMALL for word in said) >= 2:
            return " ".join(said)
    return ""


_PROBLEMS: Mapping[str, Reason] = {
    "not-utf8": Reason("not-utf8", "It is not UTF-8; opening it offers other ways to read it."),
    "unreadable": Reason("unreadable", "Its file cannot be read."),
}
