"""The caption that is open: read when it is begun, written soon after a change, and kept in step with its file."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from textual.css.query import NoMatches
from textual.timer import Timer

from engine.plan import tags
from engine.plan.caption_edits import Change
from engine.plan.caption_history import History, Outcome
from engine.plan.captions import NotUTF8Error, read_caption
from engine.plan.dataset import Picture as Entry
from engine.plan.errors import UserError, inert
from engine.plan.files import mount_point
from lora_tui.aside import aside
from lora_tui.screens.caption_list import CaptionList

OPEN_SECONDS = 0.2  # so long a key waits for the history; it takes longer only where a cut off change is finished
UNSAVED = "unsaved-caption"  # what a caption that could not be saved is kept as, beside the project
SAVE_SECONDS = 0.8  # after the last letter: a lost connection costs at most a word


class CaptionOpen(CaptionList):
    """What stands in the editor, or in the chips, and what its file holds."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._history: History | None = None
        self._history_opened = threading.Event()
        self._open: Entry | None = None  # the picture whose caption is being edited
        self._typed = ""  # what stands in the editor
        self._touched = False  # something was typed since it was opened
        self._further = False  # its file has more lines, which are gone once it is written
        self._disk: str | None = None  # what its file held when it was read or written here last; None: no file
        self._saved = False  # whether this caption was saved since it was opened: all of it is one thing to take back
        self._timer: Timer | None = None
        self._unsaved = False  # what is open could not be saved; it is kept beside the project
        self._unkept = False  # nor could it be kept there

    @property
    def history(self) -> History:
        """What was done to the captions, here and before the app was started."""
        if self._history is None:
            self._history = History(self.draft.path, self.extension)
        return self._history

    def on_mount(self) -> None:
        """Open the history in a thread: where the app was killed in the midst of a change of thousands, the rest of
        it is made now."""

        def work() -> Outcome | None:
            try:
                return self.history.recovered
            finally:
                self._history_opened.set()

        aside(work, self._finished)
        self.set_timer(OPEN_SECONDS, self.history_ready)

    def history_ready(self) -> bool:
        """Whether captions can be changed; what has to be finished first is told."""
        if self._history_opened.wait(OPEN_SECONDS):
            return True
        self.say("!", "A change of many captions that was cut off is being finished; that may take half a minute.")
        return False

    def _finished(self, outcome: Outcome | None) -> None:
        """Show what was finished of a change that was cut off."""
        if outcome is not None:
            self.read_anew(outcome.pictures)
            self.look_soon()
            self.follow_own()
            self.show_all()
            self.say("!" if outcome.conflicts else "ok", f"{outcome.sentence} {self.key('undo')} takes it back.")

    # --------------------------------------------------------------------------------------------------------- opening
    def begin(self, entry: Entry) -> bool:
        """Read a caption to change it; whether that can be done."""
        if not self.history_ready():
            return False
        found = self.read_or_why(entry)
        if isinstance(found, UserError):
            self.say("x", str(found))
            return False
        self._disk, self._further = found
        known = self.desk[entry.path], self.desk.further(entry.path)
        if ((self._disk or ""), self._further) != known or self.desk.problem(entry.path):
            self.desk.set(entry.path, self._disk, self._further)  # another program wrote it since it was read
            self._written.add(entry.path)
        self._open, self._typed, self._touched = entry, self._disk or "", False
        self._saved = False
        return True

    def read_or_why(self, entry: Entry) -> tuple[str | None, bool] | UserError:
        """As `_on_disk`; or why a caption cannot be edited, which is noted."""
        try:
            return self._on_disk(entry)
        except UserError as error:
            self.desk.cannot_show(entry.path, "not-utf8" if isinstance(error, NotUTF8Error) else "unreadable")
            return error

    def _on_disk(self, entry: Entry) -> tuple[str | None, bool]:
        """(what its file holds now, None for no file; whether that has more lines).

        Raises UserError, for what is not UTF-8 NotUTF8Error.
        """
        caption = read_caption(entry.path, self.extension, "")
        problem = caption.problem
        if problem is not None and problem.code == "caption-unreadable":
            raise UserError("not-readable", problem.message)
        return caption.text if caption.path is not None else None, caption.further

    @property
    def _begins(self) -> str:
        """What an empty caption begins with: the trigger word of what the picture shows."""
        trigger = self.subjects.of_picture(self._open.path).trigger if self._open is not None else ""
        return tags.join((trigger, ""), self.desk.separator) if trigger else ""

    def type_text(self, text: str) -> None:
        """The caption is this now; it is saved soon."""
        if self._open is None:
            return
        self._typed, self._touched = text, True
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SAVE_SECONDS, self.save)
        self.desk.judge(self._open.path, text.strip())
        self.show_caption()

    def show_caption(self) -> None:
        """The caption of the picture that is seen, and what there is to say of it."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------- in step with it
    def follow_own(self) -> None:
        """Captions were written from here, by an undo for one: what is open is as its file is now. What was typed
        meanwhile stays, and is saved over it."""
        self._follow(own=True)

    def written_elsewhere(self, entry: Entry) -> str:
        if self._open is None or entry.path != self._open.path:
            return super().written_elsewhere(entry)
        if self._follow(own=False):
            self.show_list(self.shown)
            self.show_caption()
            return super().written_elsewhere(entry)
        name = inert(entry.path.name, 40)
        return f"Another program wrote the caption of {name}. What you type on is saved over it, and both are kept."

    def _follow(self, own: bool) -> bool:
        """Show what the file of the open caption holds now; whether it is shown."""
        entry = self._open
        if entry is None:
            return False
        found = self.read_or_why(entry)
        if isinstance(found, UserError):
            if own:  # an undo brought back what cannot be shown
                self._open = None
                self.close()
            return False
        there, further = found
        if (there, further) == (self._disk, self._further):
            return True
        kept = self._to_save() is not None or not (own or self.follows)
        if own or not kept:
            self._disk, self._further, self._saved = there, further, False
        if kept:
            return False
        self._typed, self._touched = there or "", False
        self.desk.set(entry.path, there, further)
        self.show_followed()
        return True

    @property
    def follows(self) -> bool:
        """Whether what another program writes takes the place of what was changed here, and saved, before."""
        return not self._touched

    def show_followed(self) -> None:
        """Another text stands in the open caption's file: show it."""
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------------------------- saving
    def _to_save(self) -> str | None:
        """What is to be written of what stands in the editor; None where that is no change."""
        if self._open is None:
            return None
        text = self._typed.strip()
        if self._begins and text.startswith(f"{self._begins}{self._begins}"):
            text = text.removeprefix(self._begins)  # a caption was pasted that has its trigger already
        if text in ("", self._begins.strip()) and not self.desk[self._open.path]:
            return None  # only what was put there to begin with
        return text if text != (self._disk or "") else None

    def save(self) -> bool:
        """Write what is in the editor, if it is a change; whether all is well."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        entry, text = self._open, self._to_save()
        if entry is None or text is None:
            if entry is not None:
                self._forget_unsaved()  # it says again what is in its file
            return True
        change = Change(entry.path, self._disk, text)
        try:
            outcome = self.history.apply(self._label_of(entry), [change], join=self._saved)
            if theirs := outcome.conflicts:
                outcome = self.history.force(self._label_of(entry), theirs)
        except UserError as error:
            self._keep_unsaved(entry, text, error)
            return False
        self._forget_unsaved()
        dropped = self._further and not theirs
        self._disk, self._further, self._saved = text, False, True
        self.desk.set(entry.path, text)
        self.own_write(entry.path)
        with contextlib.suppress(NoMatches):  # the screen is being taken down
            self.show_list(self.shown)
            if theirs:
                name = inert(entry.path.name, 40)
                self.say(
                    "!", f"Another program changed the caption of {name} meanwhile. Yours is saved; u brings that back."
                )
            elif dropped:
                self.say(
                    "!", f"The further lines of {inert(entry.path.name, 40)}'s caption are gone; u brings them back."
                )
        return True

    def _keep_unsaved(self, entry: Entry, text: str, error: UserError) -> None:
        """It could not be saved: it stays open, and is kept beside the project should the app be left."""
        kept = {"picture": self.draft.project.relative(entry.path), "text": text}
        self._unkept = not self.draft.beside.remember(UNSAVED, kept)
        self._unsaved = True
        with contextlib.suppress(NoMatches):
            self.say("x", _not_saved(error, entry.path))

    def _forget_unsaved(self) -> None:
        if self._unsaved:
            self._unsaved = self._unkept = False
            self.draft.beside.forget(UNSAVED)

    def would_be_lost(self) -> str:
        self.save()
        if not self._unkept or self._open is None:
            return ""
        return f"The caption of {inert(self._open.path.name, 40)} could not be saved; its words are only in the editor."

    def _label_of(self, entry: Entry) -> str:
        return f"the caption of {entry.path.name}"

    def close(self) -> None:
        """Put the editor away; what was typed is saved."""
        self._put_away()
        self.set_focus(None)
        self.show_all()

    def _put_away(self) -> None:
        if self._open is not None and self._typed.strip() != self.desk[self._open.path]:
            with contextlib.suppress(UserError):  # what was typed was nothing, or another program has written since
                self.desk.set(self._open.path, *self._on_disk(self._open))
        self._open = None


def _not_saved(error: UserError, path: Path) -> str:
    """Why, and what to do: short enough for a narrow terminal where the disk is full."""
    if error.code == "disk-full":
        full = f"the disk at {mount_point(path)} is full"
        return f"Not saved: {full}. Free some space, then Esc saves; your words stay here."
    return f"Not saved; your words stay here. {error}"
