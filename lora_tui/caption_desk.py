"""The captions of a project as somebody works on them: their texts now, which of them are shown, which are marked.

A plain object: it reads and writes no files and knows no widgets. The screens ask it at every key, also with 10,000
captions, so what can be kept is kept, and what takes long to find out is found out aside (`learn`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from engine.plan.caption_attention import Attention, Reason, TokenCounter
from engine.plan.dataset import Picture
from engine.plan.errors import plural
from engine.plan.tags import Frequencies
from lora_tui.caption_words import words_of


@dataclass(frozen=True)
class Filter:
    """Which captions are shown. words: each of them stands in the name or in the caption. attention: only those that
    need it. tag: only those that have it; "" for any. equal: only those that are equal to another."""

    words: str = ""
    attention: bool = False
    tag: str = ""
    equal: bool = False

    def __bool__(self) -> bool:
        return bool(self.words.strip() or self.attention or self.tag or self.equal)

    def told(self) -> str:
        """In words: `with "coat", that need attention`."""
        parts = [f'with "{self.words.strip()}"'] if self.words.strip() else []
        parts += [f'with the tag "{self.tag}"'] if self.tag else []
        parts += ["that need attention"] if self.attention else []
        parts += ["equal to another"] if self.equal else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Scope:
    """What an operation is done to. told: in words, such as `4 marked pictures`."""

    entries: tuple[Picture, ...]
    told: str


@dataclass(frozen=True)
class Learnt:
    """What is known of captions as they were: `texts`, None for those that have no file, until it is adopted."""

    texts: dict[Path, str | None]
    attention: Attention
    frequencies: Frequencies
    words: Frequencies

    def update(self, path: Path, text: str | None, problem: str = "") -> None:
        """One of them is this now."""
        self.attention.update(path, text, problem)  # type: ignore[arg-type]
        self.frequencies.update(path, text)
        self.words.update(path, listed_words(text))


def learn(
    texts: Mapping[Path, str | None],
    trigger: str,
    limit: int,
    counter: TokenCounter | None,
    others: Mapping[Path, str] | None = None,
    separator: str = ",",
) -> Learnt:
    """Look at all captions: half a second for 10,000. limit: tokens that are read; others, separator: as of
    `Attention`."""
    attention = Attention(trigger, limit, counter, separator=separator, others=others or {})
    for path, text in texts.items():
        attention.update(path, text)
    words = Frequencies({path: listed_words(text) for path, text in texts.items()})
    return Learnt(dict(texts), attention, Frequencies(_keyed(texts), separator), words)


def _keyed(texts: Mapping[Path, str | None]) -> dict[Hashable, str | None]:
    return dict[Hashable, str | None](texts.items())


def listed_words(text: str | None) -> str:
    """Each word of a caption once, as a list of tags."""
    text = (text or "")[:_LOOKED_AT]
    return ",".join({text[begin:end] for begin, end in words_of(text)})


_LOOKED_AT = 5_000  # letters of a caption
_NO_WORDS = {"caption-empty": "", "caption-not-utf8": "not-utf8", "caption-unreadable": "unreadable"}
"""Findings on captions in whose place other words are trained, or none, and what the attention calls them."""
_FURTHER = {"caption-lines", "caption-blank"}
"""Findings on captions whose files have lines besides the one that is trained."""
_LINES = Reason("lines", "Its file has more lines; a change here drops them.")


class Desk:
    """The captions of the training pictures, the filter, and the marks."""

    def __init__(self) -> None:
        self.entries: tuple[Picture, ...] = ()
        self.shown: tuple[Picture, ...] = ()
        self.filter = Filter()
        self.marked: set[Path] = set()
        self.learnt: Learnt | None = None
        self.separator = ","  # what stands between tags, as caption_separator says
        self.folders: tuple[Path, ...] = ()  # in which the pictures lie
        self._by_path: dict[Path, Picture] = {}
        self._texts: dict[Path, str | None] = {}  # None: there is no caption file
        self._problems: dict[Path, str] = {}  # captions that cannot be shown, and why
        self._further: set[Path] = set()  # captions whose files have more lines than the one that is shown
        self._counted = False  # whether the tokens of all captions are known
        self._led: set[Path] = set()  # what `next_to_mend` has led to, one after the other
        self._led_to: Path | None = None  # the last of them

    # ---------------------------------------------------------------------------------------------------- the captions
    def take(self, entries: Sequence[Picture]) -> None:
        """These are the pictures from now on, with the captions that have just been read."""
        before, texts = [entry.path for entry in self.entries], self._texts
        self.entries = tuple(entries)
        self._by_path = {entry.path: entry for entry in entries}
        self.folders = tuple({entry.path.parent: None for entry in entries})
        self._texts, self._problems, self._further = {}, {}, set()
        for entry in entries:
            self._texts[entry.path] = entry.caption if entry.caption_path is not None else None
            for problem in entry.problems:
                if problem.code in _FURTHER:
                    self._further.add(entry.path)
                if problem.code in _NO_WORDS:
                    self._texts[entry.path] = ""  # what is trained instead stands in no file
                    self._problems[entry.path] = _NO_WORDS[problem.code]
        self.marked &= self._texts.keys()
        paths = [entry.path for entry in entries]
        if self.learnt is not None:
            for path in before if paths != before else ():
                if path not in self._texts:
                    self.learnt.update(path, None)
                    self.learnt.attention.remove(path)
        for path, text in self._texts.items():
            if path not in texts or texts[path] != text:
                self._changed(path)
        if paths == before:
            self.shown = tuple(self._by_path[entry.path] for entry in self.shown)
        else:
            self.show(self.filter)

    def __getitem__(self, path: Path) -> str:
        """The caption of a picture now; "" where there is none."""
        return self._texts.get(path) or ""

    def problem(self, path: Path) -> str:
        """Why a caption cannot be shown, "not-utf8" or "unreadable"; "" where it can, or where there is none."""
        return self._problems.get(path, "")

    def exists(self, path: Path) -> bool:
        """Whether the picture has a caption file."""
        return self._texts.get(path) is not None

    def further(self, path: Path) -> bool:
        """Whether a caption's file has more lines than the one that is shown: with what is written here they go."""
        return path in self._further

    def set(self, path: Path, text: str | None, further: bool = False) -> None:
        """A caption was written, or removed with None. What is shown stays: a row that was mended does not vanish.

        further: its file has more lines.
        """
        if path in self._texts:
            self._texts[path] = text
            (self._further.add if further else self._further.discard)(path)
            self._problems.pop(path, None)
            self._changed(path)

    def cannot_show(self, path: Path, problem: str) -> None:
        """A caption was found to be "not-utf8" or "unreadable"."""
        if path in self._texts:
            self._texts[path], self._problems[path] = "", problem
            self._further.discard(path)
            self._changed(path)

    def judge(self, path: Path, text: str) -> None:
        """Judge a caption as if this were its text, while it is typed."""
        if self.learnt is not None and path in self._texts:
            self.learnt.attention.update(path, text[:_LOOKED_AT])
            self._count(path)

    def _changed(self, path: Path) -> None:
        if self.learnt is not None:
            self.learnt.update(path, self._texts[path], self._problems.get(path, ""))
            self._count(path)

    def _count(self, path: Path) -> None:
        """Count the tokens of one caption again, where those of all have been counted."""
        if self._counted and self.learnt is not None:
            self.learnt.attention.tokens(path)

    def of(self, entries: Sequence[Picture]) -> dict[Path, str | None]:
        """The captions of some pictures; None where there is no file."""
        return {entry.path: self._texts[entry.path] for entry in entries}

    # -------------------------------------------------------------------------------------------------- what is known
    def adopt(self, learnt: Learnt) -> None:
        """Use what was found out aside; captions that have changed since are looked at again."""
        self.learnt, self._counted = learnt, False
        for path, text in self._texts.items():
            if path not in learnt.texts or learnt.texts[path] != text or path in self._problems:
                self._changed(path)
        learnt.texts.clear()  # those of thousands weigh

    def reasons(self, path: Path) -> tuple[Reason, ...]:
        """Why a caption needs attention, the gravest first; none where it needs none, or while that is not known."""
        if self.learnt is None:
            return ()
        found = self.learnt.attention.reasons(path)
        if path not in self._further:
            return found
        least = [reason for reason in found if reason.code == "same"]
        return (*found[: len(found) - len(least)], _LINES, *least)

    def wants(self, path: Path) -> bool:
        """Whether a caption needs attention for more than being equal to another."""
        return self.learnt is not None and self.learnt.attention.needs(path)

    def equal(self, path: Path) -> bool:
        """Whether a caption is equal to another."""
        return self.learnt is not None and self.learnt.attention.equal(path)

    def next_to_mend(self, here: int) -> int | None:
        """The place among those shown of the next that needs attention, around the end; where none is left, of the
        next that is equal to another or whose file has more lines; None where all is well.

        Asked again where it led to, it goes on to those that it has not led to yet, and begins anew after the last.
        """
        if not self.shown:
            return None
        here = min(here, len(self.shown) - 1)
        chosen = self.shown[here].path
        if chosen != self._led_to:
            self._led = set()  # somebody chose this row: what needs attention comes first again
        for without in (self._led | {chosen}, {chosen}, set[Path]()):
            place = self._next_but(without, here)
            if place is not None:
                self._led_to = self.shown[place].path
                self._led = (self._led & without) | {self._led_to}
                return place
        return None

    def _next_but(self, without: Collection[Path], here: int) -> int | None:
        """The next to mend that is not in `without`, those that need attention before all others."""
        for judge in (self.wants, self._merely_remarked):
            # After the last that needs attention, the others from the first on.
            begin: int = here + 1 if judge == self.wants or not self.wants(self.shown[here].path) else 0
            for place in chain(range(begin, len(self.shown)), range(begin)):
                path = self.shown[place].path
                if path not in without and judge(path):
                    return place
        return None

    def _merely_remarked(self, path: Path) -> bool:
        return (self.equal(path) or path in self._further) and not self.wants(path)

    def count_again(self) -> None:
        """More is known by now: how many tokens each caption has."""
        self._counted = True

    @property
    def wanting(self) -> int:
        """How many captions need attention."""
        return self.learnt.attention.number_needing if self.learnt is not None else 0

    @property
    def repeating(self) -> int:
        """How many captions are equal to another."""
        return self.learnt.attention.number_equal if self.learnt is not None else 0

    @property
    def frequencies(self) -> Frequencies:
        """How often each tag is used."""
        return self.learnt.frequencies if self.learnt is not None else Frequencies(_keyed(self._texts), self.separator)

    def first_with(self, tag: str) -> Picture | None:
        """The first picture whose caption has a tag; None where none has, or while that is not known."""
        path = self.learnt.frequencies.first(tag) if self.learnt is not None else None
        return self._by_path.get(path) if isinstance(path, Path) else None

    def matching(self, passes: Callable[[str], bool], scope: Scope) -> Scope:
        """Of a scope those whose captions pass: what an operation may change, found without doing it."""
        return Scope(tuple(entry for entry in scope.entries if passes(self[entry.path])), scope.told)

    # ------------------------------------------------------------------------------------------------ which are shown
    def show(self, filter: Filter) -> None:
        """Show what a filter lets through, of what the captions are now."""
        self.filter = filter
        found = self.entries
        if filter.tag:
            having = set(self.frequencies.having(filter.tag))
            found = tuple(entry for entry in found if entry.path in having)
        if filter.attention:
            found = tuple(entry for entry in found if self.wants(entry.path))
        if filter.equal:
            found = tuple(entry for entry in found if self.equal(entry.path))
        for word in filter.words.casefold().split():
            found = tuple(e for e in found if word in self[e.path].casefold() or word in e.path.name.casefold())
        self.shown = found

    # ------------------------------------------------------------------------------------------------- marks and scope
    def mark(self, path: Path) -> bool:
        """Mark a picture, or take its mark away; whether it is marked now."""
        self.marked ^= {path}
        return path in self.marked

    @property
    def scope(self) -> Scope:
        """What an operation is done to: the marked pictures; where none are, those that are shown."""
        if self.marked:
            chosen = tuple(entry for entry in self.entries if entry.path in self.marked)
            return Scope(chosen, f"the {plural(len(chosen), 'marked picture')}")
        if self.filter:
            return Scope(self.shown, f"the {plural(len(self.shown), 'picture')} {self.filter.told()}")
        return self.everything

    @property
    def everything(self) -> Scope:
        """All pictures, whatever is shown or marked."""
        return Scope(self.entries, f"all {plural(len(self.entries), 'picture')}")
