"""The captions of a project as somebody works on them: their texts now, which of them are shown, which are marked.

A plain object: it reads and writes no files and knows no widgets. The screens ask it at every key, also with 10,000
captions, so what can be kept is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.captions import is_missing
from engine.plan.dataset import Picture
from engine.plan.errors import plural

if TYPE_CHECKING:
    from engine.plan.tags import Frequencies
    from lora_tui.caption_help import WordList


@dataclass(frozen=True)
class Filter:
    """Which captions are shown. words: each of them stands in the name or in the caption. attention: only those that
    need it. tag: only those that have it; "" for any."""

    words: str = ""
    attention: bool = False
    tag: str = ""

    def __bool__(self) -> bool:
        return bool(self.words.strip() or self.attention or self.tag)

    def told(self) -> str:
        """In words: `with "coat", that need attention`."""
        parts = [f'with "{self.words.strip()}"'] if self.words.strip() else []
        parts += [f'with the tag "{self.tag}"'] if self.tag else []
        parts += ["that need attention"] if self.attention else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Scope:
    """What an operation is done to. told: in words, such as `4 marked pictures`."""

    entries: tuple[Picture, ...]
    told: str


class Desk:
    """The captions of the training pictures, the filter, and the marks."""

    def __init__(self) -> None:
        self.entries: tuple[Picture, ...] = ()
        self.shown: tuple[Picture, ...] = ()
        self.filter = Filter()
        self.marked: set[Path] = set()
        self.trigger = ""
        self.words: WordList | None = None  # once somebody has counted them
        self._texts: dict[Path, str] = {}
        self._there: set[Path] = set()  # pictures that have a caption file
        self._sought: dict[Path, str] = {}  # what words are looked for in, made when they first are
        self._frequencies: Frequencies | None = None

    # ---------------------------------------------------------------------------------------------------- the captions
    def take(self, entries: Sequence[Picture]) -> None:
        """These are the pictures from now on, with the captions that a survey has just read."""
        before = [entry.path for entry in self.entries]
        self.entries = tuple(entries)
        self._texts = {entry.path: entry.caption if entry.caption_path is not None else "" for entry in entries}
        self._there = {entry.path for entry in entries if entry.caption_path is not None}
        self._sought, self._frequencies = {}, None
        self.marked &= self._texts.keys()
        if before == [entry.path for entry in entries]:
            by_path = {entry.path: entry for entry in entries}
            self.shown = tuple(by_path[entry.path] for entry in self.shown)
        else:
            self.show(self.filter)

    def __getitem__(self, path: Path) -> str:
        """The caption of a picture now; "" where there is none."""
        return self._texts.get(path, "")

    def exists(self, path: Path) -> bool:
        """Whether the picture has a caption file."""
        return path in self._there

    def set(self, path: Path, text: str | None) -> None:
        """A caption was written, or removed with None. What is shown stays: a row that was mended does not vanish."""
        if path not in self._texts:
            return
        self._texts[path] = text or ""
        self._sought.pop(path, None)
        (self._there.discard if text is None else self._there.add)(path)
        if self._frequencies is not None:
            self._frequencies.update(path, text)
        if self.words is not None:
            self.words.update(path, text or "")

    def of(self, entries: Sequence[Picture]) -> dict[Path, str]:
        """The captions of some pictures."""
        return {entry.path: self._texts[entry.path] for entry in entries}

    @property
    def frequencies(self) -> Frequencies:
        """How often each tag is used."""
        if self._frequencies is None:
            from engine.plan.tags import Frequencies

            self._frequencies = Frequencies(dict(self._texts))
        return self._frequencies

    # ------------------------------------------------------------------------------------------------------ attention
    def reasons(self, path: Path) -> tuple[str, ...]:
        """Why a caption needs attention, the gravest first; none where it needs none."""
        return self.reasons_of(path, self._texts.get(path, ""))

    def reasons_of(self, path: Path, text: str) -> tuple[str, ...]:
        """The same if this were its text."""
        if not text:
            return ("it has no caption yet.",)
        if is_missing(text, self.trigger):
            return (f'the trigger word "{self.trigger}" is not in it.',)
        return ()

    def wants(self, path: Path) -> bool:
        """Whether a caption needs attention."""
        return bool(self.reasons(path))

    @property
    def wanting(self) -> int:
        """How many captions need attention."""
        return sum(map(self.wants, self._texts))

    # ------------------------------------------------------------------------------------------------ which are shown
    def show(self, filter: Filter) -> None:
        """Show what a filter lets through, of what the captions are now."""
        self.filter = filter
        found = self.entries
        if filter.tag:
            having = set(self.frequencies.having(filter.tag))
            found = tuple(entry for entry in found if entry.path in having)
        if filter.attention:
            found = tuple(entry for entry in found if self.reasons(entry.path))
        for word in filter.words.casefold().split():
            found = tuple(entry for entry in found if word in self._looked_in(entry))
        self.shown = found

    def _looked_in(self, entry: Picture) -> str:
        path = entry.path
        if path not in self._sought:
            self._sought[path] = f"{path.name}\n{self._texts[path]}".casefold()
        return self._sought[path]

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
