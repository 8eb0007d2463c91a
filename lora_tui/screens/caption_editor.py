"""One caption at a time: typed, saved by itself, and told of: how long it is for CLIP, what is odd about it."""

from __future__ import annotations

import contextlib
import threading

from rich.text import Text
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.timer import Timer
from textual.widgets import Input

from engine.plan.caption_edits import Change
from engine.plan.caption_files import read_for_editing
from engine.plan.caption_history import History, Outcome
from engine.plan.captions import NotUTF8Error, caption_file
from engine.plan.dataset import Picture as Entry
from engine.plan.errors import UserError, inert
from lora_tui.aside import aside
from lora_tui.caption_help import Suggestion
from lora_tui.screens.caption_list import CaptionList
from lora_tui.widgets.caption_input import CaptionInput
from lora_tui.widgets.form import Left, Taken
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import ACCENT, BAD, DIM, WARN, Part, line

OPEN_SECONDS = 0.2  # so long a key waits for the history; it takes longer only where a cut off change is finished
SAVE_SECONDS = 0.8  # after the last letter: a lost connection costs at most a word


class CaptionEditor(CaptionList):
    """The caption of the chosen picture stands below the list, and is edited there."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._history: History | None = None
        self._history_opened = threading.Event()
        self._open: Entry | None = None  # the picture whose caption is being edited
        self._typed = ""  # what stands in the editor
        self._touched = False  # something was typed since it was opened
        self._disk: str | None = None  # what its file held when it was read or written here last; None: no file
        self._saved = False  # whether this caption was saved since it was opened: all of it is one thing to take back
        self._timer: Timer | None = None

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
            self.show_all()
            self.say("!" if outcome.conflicts else "ok", f"{outcome.sentence} {self.key('undo')} takes it back.")

    @property
    def editor(self) -> CaptionInput:
        return self.query_one(CaptionInput)

    # ------------------------------------------------------------------------------------------------------- showing
    def update(self) -> None:
        super().update()
        self.show_caption()

    def show_caption(self) -> None:
        """The caption of the picture that is seen, and what there is to say of it."""
        if self._open is not None:
            self.editor.mark(self.help.cut(self._typed), self.help.odd(self._typed))
        else:
            text = self.shown_text()
            self.editor.show_text(text, self.instead(), self.help.cut(text), self.help.odd(text))
        self.query_one("#about", Lines).show(self.about())

    def shown_text(self) -> str:
        """What stands in the editor's place while nothing is typed."""
        seen = self.seen
        return self.desk[seen.path] if seen is not None else ""

    def instead(self) -> str:
        """What stands there where the caption is empty."""
        seen = self.seen
        if seen is None:
            return "There are no pictures yet; they are the second step." if not self.desk.entries else "None is shown."
        if self.desk.problem(seen.path):
            return "What is in its file cannot be shown."
        words = seen.caption or "nothing"
        return f'Without a caption the words of its folder are learnt: "{inert(words)}".'

    def about(self) -> list[Text]:
        """Always as many lines: what is above them stays where it is."""
        entry = self._open or self.seen
        if entry is None:
            return [Text(), Text()]
        text = self._typed if self._open is not None else self.shown_text()
        rows = [self._first_about(entry, text)]
        suggestion = self.suggestion() if self._open is not None else None
        if suggestion is not None:
            parts: list[Part] = [(" Tab ", ACCENT + BAD.without_color), (inert(suggestion.text, 60), ACCENT)]
            parts += [(f"  also {', '.join(inert(other, 30) for other in suggestion.others)}", DIM)] * bool(
                suggestion.others
            )
            rows.append(line(*parts))
            rows.append(self.facts(entry))
        else:
            rows += [self.facts(entry), self._advice(entry)]
        return rows[: 3 if self.has_class("-roomy") else 2]

    def _first_about(self, entry: Entry, text: str) -> Text:
        parts: list[Part] = [" "]
        words, over = self.help.tokens_told(text) if text else ("", False)
        if words:
            parts.append((f"{words}  ", BAD if over else DIM))
        if reasons := [reason for reason in self.desk.reasons(entry.path) if not (over and reason.code == "too-long")]:
            graver = self.desk.wants(entry.path)
            parts.append((" ".join(reason.words for reason in reasons[:3]), WARN if graver else DIM))
        return line(*parts)

    def facts(self, entry: Entry) -> Text:
        """Which picture it is: all there is to see of it where pictures are not shown."""
        place = inert(self.draft.project.relative(entry.path), 200)
        size = f"{entry.width} × {entry.height}, " if entry.width else ""  # not measured yet
        return line((f" {place}  {size}seen {_times(entry.repeats)} an epoch", DIM))

    def _advice(self, entry: Entry) -> Text:
        trigger = self.subjects.of_picture(entry.path).trigger
        begin = f"Behind {inert(trigger)} say" if trigger else "Say"
        return line((f" {begin} what is not the subject itself: clothes, place, light.", DIM))

    def suggestion(self) -> Suggestion | None:
        """What Tab would put in where the cursor stands."""
        return self.help.suggestion(self._typed, self.editor.cursor_position, self._touched)

    def label(self, binding: Binding) -> str:
        if self.asked is not None and binding.id in ("submit", "give_up", "complete"):
            tab = self.asked.tab[0] if self.asked.tab is not None else ""
            return {"submit": self.asked.takes, "give_up": "leave it", "complete": tab}[binding.id]
        if binding.id == "complete" and self._open is not None:
            return "take it" if self.suggestion() is not None else "pick a word"
        return {"submit": "save, next", "give_up": "save, stop"}.get(binding.id or "", super().label(binding))

    @property
    def while_typing(self) -> str:
        if self.asked is not None:
            return self.asked.says
        if self.editor.picking:
            return "Press the letter on a word, then type what takes its place. Esc: none."
        return "Enter saves and goes to the next, Tab picks a word, Esc saves and stops."

    # ----------------------------------------------------------------------------------------------------- the editor
    def action_edit(self) -> None:
        self._news = None
        self._edit()

    def _edit(self) -> None:
        entry = self.here
        if entry is None or not self.begin(entry):
            return
        editor = self.editor
        with editor.prevent(Input.Changed):
            editor.value = self._typed = self._typed or self._begins(entry)
        editor.cursor_position = len(editor.value)
        editor.focus()
        self.show_all()

    def action_pick_word(self) -> None:
        """Open the caption with a letter on each word."""
        self.action_edit()
        if self._open is not None and self._typed:
            self.editor.action_pick()

    def begin(self, entry: Entry) -> bool:
        """Read a caption to change it; whether that can be done."""
        if not self.history_ready():
            return False
        try:
            there = caption_file(entry.path, self.extension) is not None
            self._disk = read_for_editing(entry.path, self.extension) if there else None
        except NotUTF8Error as error:
            self.say("x", f"{error.path.name} is not UTF-8 at byte {error.byte}. Save it as UTF-8 in an editor first.")
            return False
        if (self._disk or "") != self.desk[entry.path]:
            self.desk.set(entry.path, self._disk)  # another program wrote it since it was read
            self._written.add(entry.path)
        self._open, self._typed, self._touched = entry, self._disk or "", False
        self._saved = False
        return True

    def _begins(self, entry: Entry) -> str:
        """What an empty caption begins with: the trigger word of what the picture shows."""
        trigger = self.subjects.of_picture(entry.path).trigger
        return f"{trigger}, " if trigger else ""

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

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input is self.ask_row:
            self.typed_in_ask(event.value)
        else:
            self.type_text(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input is self.ask_row:
            self.take_asked(event.value)
            return
        self._news = None
        if self.save():
            if self.listing.here + 1 >= len(self.shown):
                self.close()
                self.say("ok", "That was the last one. All are saved.")
            else:
                self._go_on(1)

    def on_left(self, event: Left) -> None:
        event.stop()
        if self.asked is not None:
            self.leave_asked()
            return
        self.save()
        self.close()
        if self._written:
            self.look_soon()

    def on_taken(self, event: Taken) -> None:
        event.stop()
        if self.asked is not None:
            if self.asked.arrow is not None:
                self.asked.arrow(event.by)
            return
        self._news = None
        if self.save():
            self._go_on(event.by)

    def _go_on(self, by: int) -> None:
        """Edit the next caption; the editor keeps the focus, so that no more is painted than what is different."""
        self._put_away()
        self.listing.move(by)
        self._edit()  # what was said of the one before stays
        if self._open is None:  # it cannot be edited
            self.close()

    def on_listing_moved(self, event: Listing.Moved) -> None:
        here = self.here
        if self._open is not None and (here is None or here.path != self._open.path):
            self.save()
            self.close()

    def on_caption_input_suggested(self, event: CaptionInput.Suggested) -> None:
        suggestion = self.suggestion() if not self.editor.picking else None
        if suggestion is None:
            self.editor.action_pick()
        else:
            self.editor.replace(suggestion.text, *suggestion.span)

    def on_caption_input_picking(self, event: CaptionInput.Picking) -> None:
        self.show_status()

    def on_unmount(self) -> None:
        self.save()  # the app is being closed, or its terminal is gone

    # ---------------------------------------------------------------------------------------------------------- saving
    def save(self) -> bool:
        """Write what is in the editor, if it is a change; whether all is well."""
        entry = self._open
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if entry is None:
            return True
        text, begins = self._typed.strip(), self._begins(entry)
        if begins and text.startswith(f"{begins}{begins}"):
            text = text.removeprefix(begins)  # a caption was pasted that has its trigger already
        if text in ("", begins.strip()) and not self.desk[entry.path]:
            return True  # only what was put there to begin with
        if text == (self._disk or ""):
            return True
        change = Change(entry.path, self._disk, text)
        try:
            outcome = self.history.apply(self._label_of(entry), [change], join=self._saved)
            if theirs := outcome.conflicts:
                outcome = self.history.force(self._label_of(entry), theirs)
        except UserError as error:
            with contextlib.suppress(NoMatches):
                self.say("x", f"{error} Your words are still in the editor.")
            return False
        self._disk, self._saved = text, True
        self.desk.set(entry.path, text)
        self.own_write(entry.path)
        with contextlib.suppress(NoMatches):  # the screen is being taken down
            self.show_list(self.shown)
            if theirs:
                name = inert(entry.path.name, 40)
                self.say(
                    "!", f"Another program changed the caption of {name} meanwhile. Yours is saved; u brings that back."
                )
        return True

    def _label_of(self, entry: Entry) -> str:
        return f"the caption of {entry.path.name}"

    def close(self) -> None:
        """Put the editor away; what was typed is saved."""
        self._put_away()
        self.set_focus(None)
        self.show_all()

    def _put_away(self) -> None:
        if self._open is not None and self._typed.strip() != self.desk[self._open.path]:
            self.desk.set(self._open.path, self._disk)  # what was typed was nothing
        self._open = None


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
