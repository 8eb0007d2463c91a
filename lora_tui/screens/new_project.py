"""A new project: everything that is needed to make its folder, on one form. What is typed here outlives the app."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.errors import UserError
from engine.plan.trigger import judge
from lora_tui.aside import aside, or_error
from lora_tui.screens.form_page import FORM_KEYS, candidates
from lora_tui.screens.page import Page
from lora_tui.screens.project import judge_of
from lora_tui.screens.wizard_page import ROOMY_ROWS
from lora_tui.widgets.form import EDITABLE, Form, Row
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, line
from lora_tui.widgets.path_input import PathInput
from lora_tui.widgets.status import Status
from lora_tui.wish import forget, make, remember, remembered
from lora_tui.words import about

WIDEST = 110  # cells of a line that is read easily


class NewProjectPage(Page[None]):
    """The guide's folder layout is made when `m` is pressed, whole or not at all; until then nothing is written."""

    CSS_PATH = "wizard_page.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "make", "make it", id="make", tooltip="Make the project's folder and go on."),
        Binding("f", "browse", "browse", id="browse", tooltip="Look for the folder of this row on this machine."),
        *FORM_KEYS,
        Binding("escape", "back", "back", id="back", tooltip="Back; what was typed is kept."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.wish = remembered()
        self._busy = False

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Form(id="form")
        yield Lines(id="about")
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        what = line((" A project is a folder for all of one LoRA. Your own files stay as they are.", DIM))
        self.query_one("#header", Lines).show([line((" New project", STRONG)), what])
        self.paint()
        form = self.query_one(Form)
        form.keep = self._keep_half_typed
        if any(row.key == self.wish.row and row.kind in EDITABLE for row in form.rows):
            self.call_after_refresh(form.edit, self.wish.row, self.wish.half, False)

    def typing_changed(self) -> None:
        self.paint()

    def _keep_half_typed(self, row: str, text: str) -> None:
        if (row, text) != (self.wish.row, self.wish.half):
            self.wish.row, self.wish.half = row, text
            remember(self.wish)

    def on_resize(self) -> None:
        self.set_class(self.app.size.height >= ROOMY_ROWS, "-roomy")
        self.paint()

    def paint(self) -> None:
        wish, form = self.wish, self.query_one(Form)
        where = wish.folder
        warned = judge(wish.trigger, wish.class_name) if wish.trigger else None
        form.show(
            [
                Row("trigger", "Trigger word", wish.trigger, mark="!" if warned else "", aside="a made-up word"),
                Row("class", "Class", wish.class_name, text=wish.class_name, aside="man, woman, dog, style …"),
                Row("where", "Folder of the project", where, text=where, kind="path"),
                Row("images", "Your pictures", wish.images, kind="path", aside="" if wish.images else "may come later"),
                Row("link", "Take them by", wish.link, kind="choice"),
                Row("repeats", "Repeats per picture", wish.repeats, kind="number", aside="25 to 100 is usual"),
                Row("reg", "Regularisation", wish.reg, kind="path", aside="" if wish.reg else "may come later"),
                Row("make", "Make the project", aside="and go on with its pictures", kind="action"),
            ]
        )
        keys = [row.key for row in form.rows] if self.has_class("-roomy") else ()
        width = min(WIDEST, self.app.size.width - 4)
        self.query_one("#about", Lines).show(about(form.here, width, judge_of(warned), keys))
        _, missing = self.wish.looked_over()
        if self.typing:
            self.say("ok", "Type, and take it with Enter; Esc leaves it as it was.")
        else:
            self.say("!" if missing else "ok", missing or f"{self.key('make')} makes it: {where}")
        self.show_hints()

    def say(self, mark: str, sentence: str) -> None:
        self.query_one(Status).say(mark, sentence)

    def action_row(self, by: int) -> None:
        self.query_one(Form).move(by)
        self.paint()

    def action_enter(self) -> None:
        self.query_one(Form).enter()

    def action_step_value(self, by: int) -> None:
        self.query_one(Form).step(by)

    def offered(self, action: str) -> bool:
        row = self.query_one(Form).row if self.is_mounted else None
        return action != "browse" or (row is not None and row.kind == "path")

    def action_browse(self) -> None:
        from lora_tui.screens.browse import Browse

        row = self.query_one(Form).row
        if row is None or row.kind != "path":
            return

        def taken(path: Path | None) -> None:
            if path is not None:
                self._keep(row.key, str(path))

        begin = Path(row.value) if row.value else Path.home()
        self.app.push_screen(Browse(begin, title=row.label), taken)

    def on_form_moved(self, event: Form.Moved) -> None:
        self.paint()

    def on_form_stepped(self, event: Form.Stepped) -> None:
        if event.key == "link":
            self._keep("link", "link" if self.wish.link == "copy" else "copy")
        elif event.key == "repeats" and self.wish.repeats.isdecimal():
            self._keep("repeats", str(max(1, int(self.wish.repeats) + event.by)))

    def on_form_done(self, event: Form.Done) -> None:
        if event.key == "make":
            self.action_make()
        else:
            self.on_form_stepped(Form.Stepped(event.key, 1))

    def on_path_input_completed(self, event: PathInput.Completed) -> None:
        self.say(*candidates(event))

    def on_form_edited(self, event: Form.Edited) -> None:
        from lora_tui.paths import clean

        text = clean(event.text) if event.key in ("where", "images", "reg") else event.text.strip()
        self.query_one(Form).go_on()
        self._keep({"class": "class_name"}.get(event.key, event.key), text)

    def _keep(self, name: str, text: str) -> None:
        setattr(self.wish, name, text)
        remember(self.wish)
        self.paint()

    def action_make(self) -> None:
        wish = self.wish
        row, missing = self.wish.looked_over()
        if missing:
            self.query_one(Form).choose(row)
            self.paint()
            self.say("x", missing)
        elif not self._busy:
            self._busy = True
            self.say("ok", "Making the project; pictures are being copied…")
            aside(lambda: or_error(lambda: make(wish), "The project could not be made"), self._made)

    def _made(self, made: Path | UserError) -> None:
        self._busy = False
        if isinstance(made, UserError):
            self.say("x", str(made))
            return
        forget()
        self.app.pop_screen()
        self.app.open_project(made, "pictures")  # type: ignore[attr-defined]

    def action_back(self) -> None:
        if not self._busy:
            self.app.pop_screen()
