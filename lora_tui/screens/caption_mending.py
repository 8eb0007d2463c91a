"""Captions that cannot be edited as they are: passed over when going on, or read in another way where that is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.plan.caption_edits import Change
from engine.plan.caption_files import caption_path, contents, digest_of
from engine.plan.caption_readings import Reading, readings, to_utf8
from engine.plan.dataset import Picture as Entry
from engine.plan.errors import UserError, few, inert, plural
from lora_tui.aside import aside, or_error
from lora_tui.screens.caption_open import CaptionOpen
from lora_tui.screens.dialogs import Choice, Question

ALL, EMPTY = "all", "empty"
MOST_READ = 50  # captions in a row that may have been mended meanwhile; of more is believed what is known of them


class CaptionMending(CaptionOpen):
    """Nothing is written over such a file unless that is chosen; its bytes are kept, and undo brings them back."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._several: set[Path] = set()  # of those that are read in another way: where it has more lines than one

    def next_to_open(self, by: int) -> tuple[int | None, list[Entry]]:
        """The place of the next caption that can be edited, below or above, and those that are passed over."""
        passed: list[Entry] = []
        place = self.listing.here + by
        while 0 <= place < len(self.shown):
            entry = self.shown[place]
            believed = len(passed) >= MOST_READ and self.desk.problem(entry.path)
            if not believed and not isinstance(self.read_or_why(entry), UserError):
                return place, passed
            passed.append(entry)
            place += by
        return None, passed

    def passed_over(self, passed: Sequence[Entry]) -> str:
        """Which were passed over, and why."""
        if not passed:
            return ""
        names = few(inert(caption_path(entry.path, self.extension).name, 30) for entry in passed)
        kinds = {self.desk.problem(entry.path) for entry in passed}
        why = {"not-utf8": "not UTF-8", "unreadable": "cannot be read"}
        told = " or ".join(why[kind] for kind in sorted(kinds) if kind in why)
        more = " Opening it offers ways to read it." if "not-utf8" in kinds and len(passed) == 1 else ""
        return f"Passed over: {names} ({told}).{more}"

    def offer_readings(self, entry: Entry, then: Callable[[], None]) -> None:
        """Ask how a caption is to be read that is not UTF-8; it is written so, and `then` called."""
        path = caption_path(entry.path, self.extension)
        try:
            data = contents(path)
        except UserError as error:
            self.say("x", str(error))
            return
        if data is None:
            return
        found = readings(data)
        choices = [Choice("", "Leave it as it is")]
        for number, one in enumerate(found):
            detail = "Only this line: a caption has one." if one.more else ""
            choices.append(Choice(str(number), f'Read it as {one.encoding}: "{inert(one.text, 80)}"', detail))
        choices.append(Choice(EMPTY, "Begin with an empty caption"))
        odd = [entry.path for entry in self.desk.entries if self.desk.problem(entry.path) == "not-utf8"]
        if len(odd) > 1:
            choices.append(
                Choice(ALL, f"Read all {len(odd):,} that are not UTF-8", "Each is shown before it is written.")
            )

        def answered(value: str | None) -> None:
            if value == ALL:
                self._read_all(odd)
            elif value:
                text = "" if value == EMPTY else found[int(value)].text
                self._mend(entry, Change(entry.path, None, text, seen=digest_of(data)), then)

        title = f"{inert(path.name, 40)} is not UTF-8. What is done here can be taken back with {self.key('undo')}."
        self.app.push_screen(Question(title, choices), answered)

    def _read_all(self, pictures: Sequence[Path]) -> None:
        """Offer the likeliest reading of each of these captions as one change, to be looked through first."""

        def known(found: dict[Change, Reading] | UserError) -> None:
            if isinstance(found, UserError):
                self.say("x", str(found))
                return
            self._several = {change.picture for change, reading in found.items() if reading.more}
            self.offer_changes("Read captions in another way", list(found), "all of them")

        self.say("ok", f"Reading {plural(len(pictures), 'caption')}…")
        extension = self.extension
        aside(lambda: or_error(lambda: to_utf8(pictures, extension), "The captions could not be read"), known)

    def offer_changes(self, what: str, changes: list[Change], of: str) -> None:
        """Show these changes, to be made or left. of: what they were sought in."""
        raise NotImplementedError

    def _mend(self, entry: Entry, change: Change, then: Callable[[], None]) -> None:
        try:
            outcome = self.history.apply(self._label_of(entry), [change])
        except UserError as error:
            self.say("x", str(error))
            return
        self.read_anew([entry.path])
        self.look_soon()
        if outcome.conflicts:
            self.show_all()
            self.say("!", outcome.sentence)
            return
        then()
        self._saved = self._open is not None  # what is typed now is one with it, to take back
        self.say("ok", f"It is UTF-8 now. {self.key('undo')} brings back what was in the file.")
