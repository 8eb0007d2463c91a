"""What the steps have in common that are forms: rows to choose and to edit, and a row that is half typed is kept."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from engine.plan.errors import UserError, inert
from lora_tui.draft import LONGEST_TYPED
from lora_tui.screens.sentences import Says
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.widgets.form import EDITABLE, Form, Kind, Row, RowPath, spaced
from lora_tui.widgets.line_input import LineInput
from lora_tui.widgets.path_input import PathInput

BESIDE_CELLS = 60  # of the explanations at the right, on huge terminals
HALF_TYPED = "half-typed"  # what a row that was being edited is kept as, beside the project
ROW_KINDS: dict[str, Kind] = {
    "switch": "switch",
    "integer": "number",
    "number": "number",
    "choice": "choice",
    "open": "open",
    "path": "path",
}
"""Kind of an option to that of its row; all others are texts."""
FORM_KEYS: list[BindingType] = [
    Binding("up", "row(-1)", "row", show=False, tooltip="The row above or below."),
    Binding("down", "row(1)", "row", show=False, tooltip="The row above or below."),
    Binding("enter", "enter", "edit", id="enter", tooltip="Edit the row, or do what it says."),
    Binding("left", "step_value(-1)", "change", show=False, tooltip="The value before or after."),
    Binding("right", "step_value(1)", "change", show=False, tooltip="The value before or after."),
]


class FormPage(WizardPage):
    """A step that is a form. A subclass gives `rows`, and obeys the form's messages."""

    BINDINGS: ClassVar[list[BindingType]] = FORM_KEYS
    ENTER: ClassVar[dict[str, str]] = {"action": "do it", "choice": "change", "switch": "change"}  # by kind of row

    @property
    def form(self) -> Form:
        return self.query_one(Form)

    def show_rows(self, rows: list[Row]) -> None:
        """Show these rows from now on, with air between the groups where there is room."""
        self.form.show(spaced(rows) if self.has_class("-roomy") else rows)

    def on_mount(self) -> None:
        super().on_mount()
        self.form.keep = self._keep_half_typed
        half = self.draft.beside.remembered(HALF_TYPED)
        if half.get("step") == self.STEP:
            self.call_after_refresh(self.go_on_typing, str(half.get("row", "")), str(half.get("text", "")))

    @property
    def place(self) -> str:
        return self.form.here

    def go_to_place(self, place: str) -> None:
        if not self.form.editing:
            self.form.choose(place)

    def _keep_half_typed(self, row: str, text: str) -> None:
        if row:
            self.draft.beside.remember(HALF_TYPED, {"step": self.STEP, "row": row, "text": text[:LONGEST_TYPED]})
        else:
            self.draft.beside.forget(HALF_TYPED)

    def go_on_typing(self, row: str, text: str) -> None:
        """Open the editor of a row again that was being typed when the app was left."""
        if any(known.key == row and known.kind in EDITABLE for known in self.form.rows):
            self.form.edit(row, text, anew=False)
            self.say("!", "This was being typed when the app was left: Enter takes it, Esc leaves the row as it was.")

    def done(self, trouble: UserError | None, said: str = "") -> None:
        """After an edit, as everywhere; Enter goes on where it was taken."""
        if trouble is None:
            self.form.go_on()
        super().done(trouble, said)

    def to_be_mended(self, row: str, text: str, why: str) -> None:
        """Open the editor of a row again with what was typed, which cannot be taken."""
        self.form.edit(row, text)
        self._keep_half_typed(row, text)
        self.say("x", why)

    @property
    def while_typing(self) -> str:
        if isinstance(self.focused, LineInput) and not self.focused.selection.is_empty:
            chosen = self.form.row is not None and self.form.row.kind == "open"
            what = "path" if isinstance(self.focused, RowPath) else "choice" if chosen else "number"
            return f"What you type takes the place of this {what}; an arrow key keeps it, to be edited."
        return super().while_typing

    def label(self, binding: Binding) -> str:
        row = self.form.row if self.is_mounted and binding.id == "enter" else None
        return self.ENTER.get(row.kind, binding.description) if row is not None else super().label(binding)

    @property
    def about_room(self) -> int:
        """Cells across for the explanations of a row."""
        return BESIDE_CELLS - 3 if self.has_class("-huge") else self.room

    def action_row(self, by: int) -> None:
        if self.form.display:
            self._news = None
            self.form.move(by)
            self.show_all()

    def action_enter(self) -> None:
        if self.form.display:  # no key changes what cannot be seen
            self.form.enter()

    def action_step_value(self, by: int) -> None:
        if self.form.display:
            self.form.step(by)

    def on_form_typing(self, event: Form.Typing) -> None:
        self.show_status()

    def on_form_moved(self, event: Form.Moved) -> None:
        if event.given_up:
            self._news = None  # what was wrong with what was typed
        self.show_all()

    def on_path_input_completed(self, event: PathInput.Completed) -> None:
        self.say(*candidates(event))


def candidates(event: PathInput.Completed) -> Says:
    """What Tab has found, for the line at the bottom."""
    if not event.candidates:
        return "!", "Nothing there begins so."
    more = f" and {event.more} more" if event.more else ""
    return "ok", f"{'  '.join(inert(name) for name in event.candidates)}{more}"
