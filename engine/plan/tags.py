"""Captions that are lists of tags: cutting and joining, how often each tag is used, completion, spellings to merge."""

from __future__ import annotations

import heapq
import re
import sys
import unicodedata
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

_LAST = "\U0010ffff"
_NARROW = 2_000
"""So many tags of one beginning are compared one by one; of more, the most frequent are tried in their order."""


def split(text: str, separator: str = ",") -> list[str]:
    """The tags of a caption without spaces around them; empty ones are none."""
    return [tag for part in text.split(separator or ",") if (tag := part.strip())]


def join(tags: Iterable[str], separator: str = ",") -> str:
    """Tags as a caption: `a, b`; with a separator that is no punctuation, `a | b`."""
    mark = (separator or ",").strip()
    return (f"{mark} " if mark in (",", ";", ".") else f" {mark} " if mark else " ").join(tags)


def folded(tag: str) -> str:
    """What two tags have in common that CLIP reads alike: capital letters and spaces do not matter."""
    whole = tag if tag.isascii() else unicodedata.normalize("NFC", tag)
    return " ".join(whole.lower().split())


class Frequencies:
    """How many captions of a data set have each tag; one caption is changed at a time, whatever the others are.

    `update` takes time by the caption's own tags. Keys are whatever names a caption, such as its picture's path.
    """

    def __init__(self, captions: Mapping[Hashable, str | None] | None = None, separator: str = ",") -> None:
        self._separator = separator
        self._tags: dict[Hashable, tuple[str, ...]] = {}
        self._counts: Counter[str] = Counter()
        self._sorted: list[tuple[str, str]] = []  # (folded, tag)
        # By the first letters, none, one or two: (-count, tag), so that a short beginning needs no search.
        self._frequent: dict[str, list[tuple[int, str]]] = {"": []}
        if captions:
            self._fill(captions)

    def __len__(self) -> int:
        """How many different tags there are."""
        return len(self._counts)

    def __getitem__(self, tag: str) -> int:
        return self._counts.get(tag, 0)

    @property
    def counts(self) -> Mapping[str, int]:
        """Every tag with the number of captions that have it."""
        return self._counts

    def update(self, key: Hashable, caption: str | None) -> None:
        """This is the caption now; None takes it out."""
        before = self._tags.get(key, ())
        after = self._split(caption)
        if after:
            self._tags[key] = after  # at its old place
        else:
            self._tags.pop(key, None)
        for tag in set(before) - set(after):
            self._count(tag, -1)
        for tag in set(after) - set(before):
            self._count(tag, 1)

    def most_common(self, limit: int | None = None) -> list[tuple[str, int]]:
        """Tags with their counts, the most frequent first, equal ones by the alphabet."""
        return [(tag, -count) for count, tag in islice(self._frequent[""], limit)]

    def having(self, tag: str) -> list[Hashable]:
        """The captions that have `tag`, in the order they were given."""
        return list(self._having(tag))

    def first(self, tag: str) -> Hashable | None:
        """The first caption that has `tag`; None where none has."""
        return next(self._having(tag), None)

    def _having(self, tag: str) -> Iterator[Hashable]:
        return (key for key, tags in self._tags.items() if tag in tags)

    def complete(self, beginning: str, limit: int = 8, without: Iterable[str] = ()) -> list[str]:
        """Tags that begin so, capital letters aside, the most frequent first; none of those in `without`."""
        begin, out = folded(beginning), set(without)
        if len(begin) <= 2:
            found: Iterable[tuple[int, str]] = self._frequent.get(begin, [])
            return list(islice((tag for _, tag in found if tag not in out), limit))
        first, end = bisect_left(self._sorted, (begin, "")), bisect_left(self._sorted, (begin + _LAST, ""))
        if end - first <= _NARROW:
            tags = ((-self._counts[tag], tag) for _, tag in self._sorted[first:end] if tag not in out)
            return [tag for _, tag in heapq.nsmallest(limit, tags)]
        frequent = self._frequent[begin[:2]]
        return list(islice((t for _, t in frequent if t not in out and folded(t).startswith(begin)), limit))

    def _split(self, caption: str | None) -> tuple[str, ...]:
        """Each tag once; the same tag of another caption is the same object, which of many captions saves most of the
        memory."""
        return tuple(dict.fromkeys(map(sys.intern, split(caption or "", self._separator))))

    def _fill(self, captions: Mapping[Hashable, str | None]) -> None:
        for key, caption in captions.items():
            if tags := self._split(caption):
                self._tags[key] = tags
                self._counts.update(tags)
        self._sorted = sorted((tag if (name := folded(tag)) == tag else name, tag) for tag in self._counts)
        lists: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for name, tag in self._sorted:
            entry = (-self._counts[tag], tag)
            for letters in {name[:0], name[:1], name[:2]}:
                lists[letters].append(entry)
        for entries in lists.values():
            entries.sort()
        self._frequent = {"": [], **lists}

    def _count(self, tag: str, by: int) -> None:
        before, name = self._counts[tag], folded(tag)
        after = before + by
        if after:
            self._counts[tag] = after
        else:
            del self._counts[tag]
        if not before:
            insort(self._sorted, (name, tag))
        elif not after:
            del self._sorted[bisect_left(self._sorted, (name, tag))]
        for letters in {name[:0], name[:1], name[:2]}:
            entries = self._frequent.setdefault(letters, [])
            if before:
                del entries[bisect_left(entries, (-before, tag))]
            if after:
                insort(entries, (-after, tag))
            elif not entries and letters:
                del self._frequent[letters]


@dataclass(frozen=True)
class Synonyms:
    """Tags that seem to mean one thing. into: the one of them that is used most; others: the rest, by their counts."""

    into: str
    others: tuple[str, ...]
    count: int

    @property
    def all(self) -> tuple[str, ...]:
        """Every spelling, the most frequent first."""
        return (self.into, *self.others)


def synonyms(counts: Mapping[str, int]) -> list[Synonyms]:
    """Spellings to merge: capital letters, spaces, underscores and hyphens, plurals, the order of words.

    The groups that are used most come first. Suggestions only: "red hat" and "hat red" are one thing, but whether
    "boots" and "boot" are, is for people to say.
    """
    parent: dict[str, str] = {tag: tag for tag in counts}

    def root(tag: str) -> str:
        while parent[tag] != tag:
            parent[tag] = tag = parent[parent[tag]]
        return tag

    first: dict[tuple[str, ...], str] = {}
    for tag in counts:
        for key in _keys(tag):
            parent[root(tag)] = root(first.setdefault(key, tag))
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for tag in counts:
        groups[root(tag)].append(tag)
    found = []
    for group in groups.values():
        if len(group) > 1:
            into, *others = sorted(group, key=lambda tag: (-counts[tag], tag))
            found.append(Synonyms(into, tuple(others), sum(counts[tag] for tag in group)))
    return sorted(found, key=lambda group: (-group.count, group.into))


def _keys(tag: str) -> Iterable[tuple[str, ...]]:
    words = [_singular(word) for word in re.split(r"[\s_\-]+", unicodedata.normalize("NFKC", tag).casefold()) if word]
    if not words:
        return
    yield ("joined", "".join(words))
    yield ("words", *sorted(words))


def _singular(word: str) -> str:
    """An English noun without its plural ending, roughly; what is only used in the plural stays."""
    if len(word) <= 3 or word.endswith(("ss", "us", "is", "glasses")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]
