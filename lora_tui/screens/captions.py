"""Captions, one after the other: what each picture shows, in a line that is saved by itself."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.timer import Timer
from textual.widgets import Input

from engine.plan.caption_files import read_for_editing, remove_caption, write_caption
from engine.plan.captions import NotUTF8Error, has_word, is_missing
from engine.plan.dataset import Picture as Entry
from engine.plan.errors import UserError, inert
from lora_tui.folder_contents import fitted
from lora_tui.screens.list_page import LARGE_KEY, NAME_CELLS, ListPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Left, RowInput, Taken
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import DIM, GOOD, PLAIN, WARN, line
from lora_tui.widgets.picture import Picture
from lora_tui.words import paragraph

SAVE_SECONDS = 0.8  # after the last letter: a lost connection costs at most a word


class CaptionsPage(ListPage):
    """A row for each training picture, its caption edited below. Every change is kept in a backup first."""

    STEP: ClassVar[StepName] = "captions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "edit", id="edit", tooltip="Edit this caption; Enter saves it and goes to the next."),
        Binding("m", "missing", "next missing", id="missing", tooltip="The next without a caption or the trigger."),
        Binding("c", "captioning", "automatic", id="captioning", tooltip="Have captions written by a captioner."),
        LARGE_KEY,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._written: dict[Path, str] = {}  # by picture: captions written here, until the next survey knows of them
        self._survey: object = None
        self._open: Entry | None = None  # the picture whose caption is being edited
        self._typed = ""  # what stands in the editor
        self._before: str | None = None  # what the caption was when the editor was opened; None where there was none
        self._changed: list[tuple[Entry, str | None]] = []  # as captions were before each change, the last one last
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        with Horizontal(id="side-by-side"):
            yield Listing(id="list")
            with Vertical(id="preview"):
                yield Picture(id="picture")
        yield Lines(id="about")
        yield RowInput(id="editor")

    def update(self) -> None:
        survey = self.wizard.survey
        if survey is not self._survey and not self.wizard.looking:
            self._survey, self._written = survey, {}
        dataset = survey.dataset if survey is not None else None
        self.show_list(dataset.used_of("train") if dataset is not None else ())
        self.query_one("#about", Lines).show(self._about())

    def _caption(self, entry: Entry) -> str:
        if entry.path in self._written:
            return self._written[entry.path]
        return entry.caption if entry.caption_path is not None else ""

    def _is_missing(self, entry: Entry) -> bool:
        return is_missing(self._caption(entry), self.draft.project.trigger)

    def row_of(self, entry: Entry) -> Text:
        caption = self._caption(entry)
        mark, style = ("✓", GOOD) if not self._is_missing(entry) else ("·", DIM) if not caption else ("!", WARN)
        name = fitted(entry.path.name, NAME_CELLS - 1)
        text = (inert(caption), PLAIN) if caption else ("no caption yet", DIM)
        return line((f"{mark} ", style), (f"{name} ", DIM), text)

    def _about(self) -> list[Text]:
        """As many lines while a caption is edited as before: the list and the picture above stay where they are."""
        trigger = self.draft.project.trigger
        begin = f"Behind {inert(trigger)} say" if trigger else "Say"
        said = f"{begin} what is not the subject itself: clothes, place, light. What you name can be changed later."
        advice = paragraph(said, self.room)
        rows = advice if self._open is not None else self._remarks(trigger)
        return rows + [Text()] * (len(advice) - len(rows))

    def _remarks(self, trigger: str) -> list[Text]:
        """The whole caption, or what is wrong with it."""
        entry = self.here
        if entry is None:
            return [line((" There are no pictures yet; they are the second step.", DIM))]
        caption = self._caption(entry)
        if not caption:
            words = entry.caption or "nothing"
            return [line((f' Without one, the words of its folder are learnt: "{inert(words)}".', WARN))]
        if trigger and not has_word(caption, trigger):
            return [line((f' The trigger word "{inert(trigger)}" is not in it.', WARN))]
        return [line((f" {inert(caption)}", PLAIN))]

    def label(self, binding: Binding) -> str:
        return {"submit": "save, next", "give_up": "save, stop"}.get(binding.id or "", super().label(binding))

    @property
    def while_typing(self) -> str:
        return "Enter saves and goes to the next, Esc stops; what you typed is saved."

    def sentence(self, standing: Standing) -> Says:
        if self.shown and standing.mark != "done":
            return "!", f"{standing.missing} {self.key('missing')} goes to the next one, {self.key('edit')} edits."
        return super().sentence(standing)

    # ----------------------------------------------------------------------------------------------------------- keys
    def on_listing_moved(self, event: Listing.Moved) -> None:
        here = self.here
        if self._open is not None and (here is None or here.path != self._open.path):
            self._close()

    def on_listing_opened(self, event: Listing.Opened) -> None:
        self.action_edit()

    def action_missing(self) -> None:
        count = len(self.shown)
        for step in range(1, count + 1):
            index = (self.listing.here + step) % count
            if self._is_missing(self.shown[index]):
                self.listing.choose(index)
                return
        self.say("ok", "Every picture has a caption with the trigger word.")

    def action_captioning(self) -> None:
        from lora_tui.screens.captioning import CaptioningScreen

        self.app.push_screen(CaptioningScreen(self.pages))

    def action_edit(self) -> None:
        entry = self.here
        if entry is None:
            return
        try:
            text = self._written.get(entry.path) or read_for_editing(entry.path, self._extension)
        except NotUTF8Error as error:
            self.say("x", f"{error.path.name} is not UTF-8 at byte {error.byte}. Save it as UTF-8 in an editor first.")
            return
        self._open = entry
        self._before = self._caption(entry) if entry.caption_path is not None or entry.path in self._written else None
        editor = self.query_one("#editor", RowInput)
        editor.value = self._typed = text or self._begins
        editor.cursor_position = len(editor.value)
        editor.add_class("-on")
        editor.focus()
        self.show_all()

    @property
    def _begins(self) -> str:
        """What an empty caption begins with."""
        trigger = self.draft.project.trigger
        return f"{trigger}, " if trigger else ""

    @property
    def _extension(self) -> str:
        return str(self.draft.value("caption_extension"))

    # --------------------------------------------------------------------------------------------------------- editor
    def on_input_changed(self, event: Input.Changed) -> None:
        self._typed = event.value
        if self._open is not None:
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(SAVE_SECONDS, self._save)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._save():
            last = self.listing.here + 1 >= len(self.shown)
            self._close()
            if last:
                self.say("ok", "That was the last one. All are saved.")
            else:
                self.listing.move(1)
                self.action_edit()

    def on_left(self, event: Left) -> None:
        event.stop()
        self._save()
        self._close()
        if self._written:
            self.wizard.look_again()

    def on_taken(self, event: Taken) -> None:
        event.stop()
        if self._save():
            self._close()
            self.listing.move(event.by)
            self.action_edit()

    def on_unmount(self) -> None:
        self._save()  # the app is being closed, or its terminal is gone

    def _save(self) -> bool:
        """Write what is in the editor, if it is a change; whether all is well."""
        entry = self._open
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if entry is None:
            return True
        text = self._typed.strip()
        if self._begins and text.startswith(f"{self._begins}{self._begins}"):
            text = text.removeprefix(self._begins)  # a caption was pasted that has its trigger already
        if text in ("", self._begins.strip()) and not self._caption(entry):
            return True  # only what was put there to begin with
        try:
            write_caption(self.draft.path, entry.path, text, self._extension)
        except UserError as error:
            with contextlib.suppress(NoMatches):
                self.say("x", f"{error} Your words are still in the editor.")
            return False
        if text == self._caption(entry):
            return True
        self._written[entry.path] = text
        with contextlib.suppress(NoMatches):  # the screen is being taken down
            self.show_list(self.shown)
        return True

    def action_undo(self) -> None:
        """The last caption that was changed here first, then the project as on every step."""
        if not self._changed:
            super().action_undo()
            return
        entry, before = self._changed.pop()
        try:
            if before is None:
                remove_caption(self.draft.path, entry.path, self._extension)
            else:
                write_caption(self.draft.path, entry.path, before, self._extension)
        except UserError as error:
            self.say("x", str(error))
            return
        self._written[entry.path] = before or ""
        self.wizard.look_again()
        self.go_to_place(self.draft.project.relative(entry.path))
        self.show_all()
        self.say("ok", f"Taken back: the caption of {inert(entry.path.name)}.")

    def _close(self) -> None:
        if self._open is not None and self._caption(self._open) != (self._before or ""):
            self._changed.append((self._open, self._before))
        self._open = None
        self.query_one("#editor", RowInput).remove_class("-on")
        self.set_focus(None)
        self.show_all()
