"""Rows with a label and a value, edited in place: a form for people on the keyboard, over slow lines.

The form shows rows and says what is done with them; what a value means is the business of the screen. Only rows that
have changed are painted, and nothing at all while nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input
from textual.widgets.input import Selection

from engine.plan.errors import inert
from lora_tui.widgets.line_input import LineInput
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, MARKS, RAISED, STRONG, Part, line
from lora_tui.widgets.path_input import PathInput

Kind = Literal["text", "number", "choice", "open", "switch", "path", "action", "heading", "note"]
LABEL_CELLS = 28
VALUE_CELLS = 22
KEEP_SECONDS = 0.8  # after a letter: a lost connection costs at most a word
_HERE = Style(bgcolor=RAISED)
EDITABLE: tuple[Kind, ...] = ("text", "number", "open", "path")
_STILL = ("heading", "note")


@dataclass(frozen=True)
class Row:
    """One row. value: what is shown. text: what an editor begins with, where that is not the value. aside: shown dim
    behind the value.

    mark: "", or a mark of the status line. changed: it was set by hand. kind: what Enter and the arrow keys do; an
    "open" steps through known values and takes a typed one, "action" does something, "heading" and "note" cannot be
    chosen.
    """

    key: str
    label: str
    value: str = ""
    text: str | None = None
    aside: str = ""
    mark: str = ""
    changed: bool = False
    kind: Kind = "text"


def spaced(rows: Sequence[Row]) -> list[Row]:
    """With an empty line before each group but the first, where there is room for that."""
    found: list[Row] = []
    for row in rows:
        if row.kind == "heading" and found and found[-1].kind != "heading":
            found.append(Row(f"before {row.key}", "", kind="note"))
        found.append(row)
    return found


_IN_ROW: list[BindingType] = [
    Binding("enter", "submit", "take it", id="submit", tooltip="Take what is typed."),
    Binding("escape", "give_up", "leave it", id="give_up", tooltip="Leave it as it was."),
    Binding("down", "take(1)", "take it", show=False),
    Binding("up", "take(-1)", "take it", show=False),
]


@dataclass
class Left(Message):
    """Esc was pressed in an editor."""


@dataclass
class Taken(Message):
    """An arrow key left the row: the text is taken, and the cursor moves."""

    by: int


class RowInput(LineInput):
    """The editor that lies over a row's value. Enter takes the text, Esc gives it up."""

    BINDINGS: ClassVar[list[BindingType]] = _IN_ROW

    def action_give_up(self) -> None:
        self.post_message(Left())

    def action_take(self, by: int) -> None:
        self.post_message(Taken(by))


class RowPath(PathInput):
    """The same for paths: Tab completes them."""

    BINDINGS: ClassVar[list[BindingType]] = _IN_ROW

    def action_give_up(self) -> None:
        self.post_message(Left())

    def action_take(self, by: int) -> None:
        self.post_message(Taken(by))


class Form(VerticalScroll):
    """Shows the rows given to `show`, keeps the place, edits, and tells by messages."""

    DEFAULT_CSS = """
    Form { height: 1fr; width: 1fr; }
    Form > Lines { height: auto; width: 100%; }
    RowInput, RowInput:focus, RowPath, RowPath:focus {
        border: none; height: 1; padding: 0; background: $boost; color: $foreground;
    }
    Form > RowInput, Form > RowPath { display: none; position: absolute; }
    Form > .-on { display: block; }
    """
    can_focus = False

    @dataclass
    class Edited(Message):
        """A text was typed for the row `key`."""

        key: str
        text: str

    @dataclass
    class Stepped(Message):
        """An arrow key asks for the next (1) or previous (-1) value of a row."""

        key: str
        by: int

    @dataclass
    class Done(Message):
        """Enter on an action, a switch or a choice."""

        key: str

    @dataclass
    class Moved(Message):
        """The row `key` is chosen now. given_up: because its editor was left with nothing taken."""

        key: str
        given_up: bool = False

    @dataclass
    class Typing(Message):
        """The text of the editor has changed and is not taken yet."""

        key: str
        text: str

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.rows: list[Row] = []
        self.here = ""  # the key of the chosen row
        self._editing = ""  # and of the one that is edited
        self._editor: Input | None = None
        self._began = ""  # what stood there when it was opened
        self._entered = ""  # the row that Enter was just pressed in
        self.keep: Callable[[str, str], object] | None = None
        """Called with a row's key and what stands in its editor, soon after something was typed; with ("", "") once
        the editor is closed. For those who want to find it again after the connection was lost."""
        self._keeping: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Lines()
        yield RowInput()
        yield RowPath()

    # ------------------------------------------------------------------------------------------------------- showing
    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows from now on; the chosen one stays chosen while it is there."""
        self.rows = list(rows)
        keys = [row.key for row in self.rows if row.kind not in _STILL]
        if self.here not in keys:
            self.here = keys[0] if keys else ""
        self._paint()
        if self._editor is not None and self._editing:  # its row may have moved
            self._editor.styles.offset = (3 + LABEL_CELLS, self._place(self._editing))

    def _paint(self) -> None:
        self.query_one(Lines).show([self._line(row) for row in self.rows])

    def _line(self, row: Row) -> Text:
        if row.kind == "heading":
            return line((f" {inert(row.label)}", DIM))
        if row.kind == "note":
            return line((f"   {inert(row.label)}", DIM))
        here = row.key == self.here
        sign = "▸" if here else " "
        label, aside = set_cell_size(inert(row.label), LABEL_CELLS - 1).rstrip(), inert(row.aside)
        pad = " " * (LABEL_CELLS - cell_len(label))
        parts: list[Part] = [(f" {sign} ", ACCENT), (label, STRONG if here else DIM), pad]
        if row.key == self._editing:
            parts = [(f" {sign} ", ACCENT), (label, STRONG)]  # an aside would show beside the editor
        elif row.kind == "action" or (row.kind == "path" and not row.value):
            parts = [(f" {sign} ", ACCENT), (label, STRONG if here else ACCENT), (f"   {aside}", DIM)]
        else:
            value = inert(row.value)
            parts.append((value, STRONG if row.changed or here else Style()))
            parts.append(" " * max(2, VALUE_CELLS - cell_len(value)))
            if row.mark:
                parts.append((f"{row.mark} ", MARKS[row.mark] + Style(bold=True)))
            parts.append((aside, DIM))
        text = line(*parts)
        if here:
            text.pad_right(max(0, self.size.width - text.cell_len))
            text.stylize(_HERE)
        return text

    def _place(self, key: str) -> int:
        return next((y for y, row in enumerate(self.rows) if row.key == key), 0)

    # ------------------------------------------------------------------------------------------------------- moving
    @property
    def row(self) -> Row | None:
        """The chosen row."""
        return next((row for row in self.rows if row.key == self.here), None)

    def choose(self, key: str) -> None:
        """Bring the row `key` into sight and choose it."""
        if any(row.key == key and row.kind not in _STILL for row in self.rows) and key != self.here:
            self.here = key
            self._paint()
            self.post_message(self.Moved(key))
        self._into_sight()
        self.call_after_refresh(self._into_sight)  # rows may only just have come

    def _into_sight(self) -> None:
        self.scroll_to_region(Region(0, max(0, self._place(self.here) - 1), 1, 3), animate=False)

    def move(self, by: int) -> None:
        """Choose another row, `by` places away; the ends stay."""
        keys = [row.key for row in self.rows if row.kind not in _STILL]
        if keys:
            at = keys.index(self.here) if self.here in keys else 0
            self.choose(keys[max(0, min(len(keys) - 1, at + by))])

    # ------------------------------------------------------------------------------------------------------- editing
    @property
    def editing(self) -> bool:
        return bool(self._editing)

    @property
    def half_typed(self) -> tuple[str, str]:
        """(the row that is edited, what stands in the editor)."""
        return self._editing, self._editor.value if self._editor is not None else ""

    def enter(self) -> None:
        """Edit the chosen row, or do what it stands for."""
        row = self.row
        if row is None:
            return
        if row.kind in EDITABLE:
            self.edit(row.key, row.value if row.text is None else row.text)
        else:
            self.post_message(self.Done(row.key))

    def step(self, by: int) -> None:
        if self.row is not None and self.row.kind in ("number", "choice", "open", "switch"):
            self.post_message(self.Stepped(self.here, by))

    def edit(self, key: str, text: str, anew: bool = True) -> None:
        """Open the editor over the row `key`, with this text in it. What is typed takes the place of a whole path,
        number or known choice: nobody means 1 and 0.7 to become 10.7. Not `anew`: it goes on behind the text."""
        self.choose(key)
        place = self._place(key)
        row = self.rows[place]
        self._editing, self._began = key, text
        editor = self._editor = self.query_one(RowPath if row.kind == "path" else RowInput)
        editor.value = text
        left = 3 + LABEL_CELLS
        editor.styles.offset = (left, place)
        editor.styles.width = max(10, self.size.width - left - 1)
        editor.add_class("-on")
        editor.cursor_position = len(text)
        if anew and row.kind in ("path", "number", "open"):
            editor.selection = Selection(0, len(text))
        editor.focus()
        self._paint()

    def close(self) -> None:
        """Put the editor away; what was in it is gone."""
        self._editing = ""
        if self._editor is not None:
            self._editor.remove_class("-on")
        self.screen.set_focus(None)
        self._paint()
        self._stop_keeping()
        if self.keep is not None:
            self.keep("", "")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._editing:
            self.post_message(self.Typing(self._editing, event.value))
            if self.keep is not None and self._keeping is None and event.value != self._began:
                self._keeping = self.set_timer(KEEP_SECONDS, self._keep_now)

    def _keep_now(self) -> None:
        self._stop_keeping()
        if self._editing and self._editor is not None and self.keep is not None:
            self.keep(self._editing, self._editor.value)

    def _stop_keeping(self) -> None:
        if self._keeping is not None:
            self._keeping.stop()
            self._keeping = None

    def on_unmount(self) -> None:
        if self._keeping is not None:
            self._keep_now()  # the app is being closed, or its terminal is gone

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._entered = self._editing
        self._take(event.value)

    def go_on(self) -> None:
        """After Enter has given the chosen row a value that was taken: the next row, where it is typed as well."""
        entered, self._entered = self._entered, ""
        after = self._place(self.here) + 1
        if entered and entered == self.here and after < len(self.rows) and self.rows[after].kind in EDITABLE:
            self.move(1)

    def on_left(self, event: Left) -> None:
        event.stop()
        key = self._editing
        self.close()
        self.post_message(self.Moved(key, given_up=True))

    def on_taken(self, event: Taken) -> None:
        event.stop()
        if self._editor is not None:
            self._take(self._editor.value)
        self.move(event.by)

    def _take(self, text: str) -> None:
        key = self._editing
        self.close()
        if key:
            self.post_message(self.Edited(key, text))

    def on_resize(self, event: events.Resize) -> None:
        self._paint()
        self.call_after_refresh(self._into_sight)
        if self._editing and self._editor is not None:
            self._editor.styles.width = max(10, self.size.width - 4 - LABEL_CELLS)

    def on_click(self, event: events.Click) -> None:
        """A click chooses a row, a double click is Enter."""
        place = event.screen_y - self.query_one(Lines).region.y
        if self._editing or not 0 <= place < len(self.rows):
            return
        row = self.rows[place]
        if row.kind in _STILL:
            return
        if event.chain == 2 and row.key == self.here:  # another one may have come under the pointer
            self.enter()
        else:
            self.choose(row.key)
