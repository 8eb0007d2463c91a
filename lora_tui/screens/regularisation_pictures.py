"""Looking through the regularisation pictures: each with its preview, to be left out or thrown away."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.errors import inert
from engine.plan.folders import Kind
from engine.plan.picture_parameters import read
from engine.plan.trash import throw_away
from lora_tui.aside import or_error
from lora_tui.screens.class_question import ask_class
from lora_tui.screens.dialogs import Choice, Question
from lora_tui.screens.list_page import LARGE_KEY
from lora_tui.screens.pictures import PicturesPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.paint import DIM, STRONG, line


class RegularisationPictures(PicturesPage):
    """Lies over the step's own screen; Esc goes back to it."""

    STEP: ClassVar[StepName] = "regularisation"
    KIND: ClassVar[Kind] = "reg"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "leave_out", "leave out", id="leave_out", tooltip="Do not train this picture, or do again."),
        LARGE_KEY,
        Binding("delete", "throw", "throw away", id="throw", tooltip="Move this picture to the project's trash."),
        Binding("escape", "home", "back", id="home", tooltip="Back to how they are made."),
        Binding("a", "add", "from a folder", id="add", tooltip="Take regularisation pictures over from a folder."),
    ]

    @property
    def place(self) -> str:
        return ""

    def summary(self) -> list[Text]:
        count = len(self.shown)
        rows = [line((f" {count:,} regularisation pictures", STRONG))] if count else [line((" none yet", DIM))]
        entry = self.here
        if entry is not None and (text := read(entry.path)):
            words = text.splitlines()
            rows.append(line((f" {inert(words[0], self.room)}", DIM)))
            rows.append(line((f" {inert(words[-1], self.room)}", DIM)))
        return rows

    def remarks(self) -> list[Text]:
        return super().remarks() if self.shown else []

    def sentence(self, standing: Standing) -> Says:
        if self._cancel is not None:
            return super().sentence(standing)
        return "ok", f"{self.key('leave_out')} leaves one out, {self.key('home')} goes back."

    def action_go(self, step: StepName) -> None:
        self.app.pop_screen()
        if step != self.STEP:
            self.pages.go(step)

    def action_go_by(self, by: int) -> None:
        self.app.pop_screen()
        super().action_go_by(by)

    def action_home(self) -> None:
        if self._cancel is not None:
            self._cancel.set()
        else:
            self.app.pop_screen()

    def _take(self, folder: str, link: bool, class_name: str = "") -> None:
        take = super()._take
        ask_class(self.app, self.draft.project, lambda which: take(folder, link, which))

    def action_throw(self) -> None:
        entry = self.here
        if entry is None:
            return
        choices = [
            Choice("", "Leave it"),
            Choice("throw", "Throw it away", "it goes to .lora-tui/trash in the project"),
        ]

        def chosen(how: str | None) -> None:
            if how:
                thrown = or_error(partial(throw_away, self.draft.project, [entry.path]), "It could not be moved")
                self.say(
                    "ok" if isinstance(thrown, int) else "x", "Moved to the trash." if thrown == 1 else str(thrown)
                )
                self.wizard.look_again()

        self.app.push_screen(Question(f"{inert(entry.path.name, 60)}", choices), chosen)

    def offered(self, action: str) -> bool:
        return bool(self.shown) if action == "throw" else super().offered(action)
