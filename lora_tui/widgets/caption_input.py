"""A caption to read and to edit: wrapped over rows, with its unread end and odd words marked, and a way to any word in
two keys. Repaints only the rows that have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip
from textual.widgets import Input
from textual.widgets.input import Selection

from lora_tui.caption_rows import Rows, in_rows_of
from lora_tui.caption_words import Span, labelled, without, words_of
from lora_tui.widgets.colours import repaint
from lora_tui.widgets.form import RowInput
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, WARN, text_in_ascii

_MARGIN = 1  # cells at both sides
_UNREAD = DIM + Style(strike=True)
_ODD = WARN + Style(underline=True)
_LABEL = ACCENT + Style(bold=True, reverse=True)


class CaptionInput(RowInput):
    """Shows `value` in as many rows as it is high; a line to type once it has the focus.

    `cut`: from which letter on nothing is read, None where all is. `odd`: words to be marked.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "suggested", "a word", id="complete", tooltip="Take what is suggested; else pick a word."),
        Binding("shift+tab", "pick", "pick a word", show=False, tooltip="Pick a word by a letter, and type over it."),
        Binding("down", "down", "next", show=False),
        Binding("up", "up", "before", show=False),
    ]

    # Their changes paint the rows that are different, and nothing else.
    value = var("", init=False)
    selection = var(Selection.cursor(0))

    @dataclass
    class Suggested(Message):
        """Tab was pressed: whoever knows a suggestion takes it, and picks a word where there is none."""

    @dataclass
    class Picking(Message):
        """Words can be picked now, or not any more."""

    def __init__(self, *, id: str) -> None:
        self._rows = Rows("", 2, (0,), None)
        self._top = 0
        self._strips: list[Strip] = []
        self._labels: dict[str, Span] = {}
        self._group = 0
        self.cut: int | None = None
        self.odd: Sequence[Span] = ()
        self.instead = ""
        super().__init__(id=id)

    @property
    def picking(self) -> bool:
        """Whether the next letter picks a word."""
        return bool(self._labels)

    def show_text(self, text: str, instead: str, cut: int | None, odd: Sequence[Span]) -> None:
        """Show a caption that is not being edited, or `instead` of an empty one. Nothing is told of it."""
        self.instead = instead
        with self.prevent(Input.Changed):
            if text != self.value:
                self._top = 0
                self.value = text
                self._initial_value = False
        self.mark(cut, odd)

    def mark(self, cut: int | None, odd: Sequence[Span]) -> None:
        """What of the text is not read, and which words are odd."""
        self.cut, self.odd = cut, odd
        self.paint()

    # --------------------------------------------------------------------------------------------------------- rows
    def paint(self) -> None:
        """Have the rows painted that look different now."""
        width, height = self.content_size
        if not width or not height or not self.is_attached:
            return
        room = max(2, width - 2 * _MARGIN)
        if self._rows.width != room or self._raw != self.value:
            self._raw = self.value
            self._rows = in_rows_of(self.value, room)
        row = self._rows.row_of(self.cursor_position) if self.has_focus else self._top
        self._top = max(0, min(max(min(self._top, row), row + 1 - height), len(self._rows) - height))
        strips = [self._strip(self._top + y, width) for y in range(height)]
        before, self._strips = self._strips, strips
        changed = [y for y, strip in enumerate(strips) if y >= len(before) or before[y] != strip]
        if changed:
            left, top = self.content_region.offset - self.region.offset
            self.refresh(*(Region(left, top + y, width, 1) for y in changed))

    _raw: str | None = None

    def _strip(self, row: int, width: int) -> Strip:
        style = self.rich_style
        if row >= len(self._rows):
            return Strip.blank(width, style)
        begin, end = self._rows.span(row)
        # A cell before each row, so that the letter that picks its first word has a place as well.
        text = Text(" " + self._rows.text[begin:end], PLAIN, no_wrap=True, end="")
        begin -= _MARGIN
        if not self._rows.text and self.instead and not self.has_focus:
            text = Text(f" {self.instead}", WARN, no_wrap=True, end="")
        for first, last in self.odd:
            _style(text, _ODD, first - begin, last - begin)
        if self.cut is not None:
            _style(text, _UNREAD, self.cut - begin, end - begin)
        for letter, (first, _) in self._labels.items():
            place = first - begin - 1  # in place of the blank before the word, so that it can be read
            if 0 <= place < len(text) - 1:
                text = Text.assemble(text[:place], (letter, _LABEL), text[place + 1 :], no_wrap=True, end="")
        if self.has_focus and not self._labels:
            first, last = sorted(self.selection)
            if first != last:
                _style(text, self.get_component_rich_style("input--selection"), first - begin, last - begin)
            cursor = self.cursor_position - begin
            if self._rows.row_of(self.cursor_position) == row:
                text.pad_right(max(0, cursor + 1 - len(text)))
                text.stylize(self.get_component_rich_style("input--cursor"), cursor, cursor + 1)
        if self._top + self.content_size.height == row + 1 < len(self._rows):  # there is more of it
            while text.cell_len > width - 1:
                text.right_crop(1)
            text.append("…", DIM)
        if getattr(self.app, "ascii_only", False):
            text = text_in_ascii(text)
        segments = repaint(text, self.app.theme).render(self.app.console)
        return Strip(segments).adjust_cell_length(width, style).apply_style(style)

    def render_line(self, y: int) -> Strip:
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.content_size.width, self.rich_style)

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> CaptionInput:
        """Textual has a widget painted as a whole when it gets or loses the focus; here only what is different."""
        if not regions and repaint and not layout and not recompose and self._strips:
            self.paint()
        else:
            super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
            self._layout_updates += layout  # for the same reason as in `Lines.show`
        return self

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(in_rows_of(self.value, width)))

    def notify_style_update(self) -> None:
        """Also when another theme is chosen, or when it gets or loses the focus."""
        super().notify_style_update()
        self.paint()

    def on_resize(self) -> None:
        self._strips = []
        self.paint()

    # ------------------------------------------------------------------------------------------- instead of one row
    def _watch_value(self, value: str) -> None:
        self._labels = {}
        self.post_message(self.Changed(self, value))
        self.selection = self.selection  # it may be behind the end now
        self.paint()

    def _watch_selection(self, selection: Selection) -> None:
        self.app.cursor_position = self.cursor_screen_offset
        self.paint()

    @property
    def cursor_screen_offset(self) -> Offset:
        if self._raw != self.value:
            return self.content_region.offset
        row = self._rows.row_of(self.cursor_position)
        cell = _MARGIN + self._rows.cell_of(self.cursor_position)
        return self.content_region.offset + Offset(cell, row - self._top)

    async def _on_mouse_down(self, event: events.MouseDown) -> None:
        if self.has_focus:
            offset = event.get_content_offset_capture(self)
            self.selection = Selection.cursor(self._rows.at(self._top + offset.y, offset.x - _MARGIN))

    # --------------------------------------------------------------------------------------------------------- keys
    def action_down(self) -> None:
        self._up_or_down(1)

    def action_up(self) -> None:
        self._up_or_down(-1)

    def _up_or_down(self, by: int) -> None:
        """A row down or up, where there is one; else the next picture or the one before."""
        row = self._rows.row_of(self.cursor_position)
        if 0 <= row + by < len(self._rows) and len(self._rows) > 1 and self.selection.is_empty:
            self.cursor_position = self._rows.at(row + by, self._rows.cell_of(self.cursor_position))
        else:
            self.action_take(by)

    def action_suggested(self) -> None:
        self.post_message(self.Suggested())

    def action_pick(self) -> None:
        """Show a letter at each word in sight; the one that is pressed next picks its word. Of more than 19 words, the
        next 19 when it is asked for again."""
        self._group = self._group + 1 if self._labels else 0
        begin = self._rows.span(self._top)[0]
        end = self._rows.span(min(len(self._rows), self._top + self.content_size.height) - 1)[1]
        self._labels = labelled(words_of(self.value, begin, end), self._group)
        self.paint()
        self.post_message(self.Picking())

    def _pick_no_more(self) -> None:
        self._labels = {}
        self.paint()
        self.post_message(self.Picking())

    def action_give_up(self) -> None:
        if self._labels:
            self._pick_no_more()
        else:
            super().action_give_up()

    async def _on_key(self, event: events.Key) -> None:
        if not self._labels or not event.is_printable:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        found = self._labels.get(event.character or "")
        self._labels = {}
        if found is not None:
            self.selection = Selection(*found)
        self.paint()
        self.post_message(self.Picking())

    def delete_selection(self) -> None:
        self.value, self.cursor_position = without(self.value, _sorted(self.selection))


def _sorted(selection: Selection) -> Span:
    first, last = sorted(selection)
    return first, last


def _style(text: Text, style: Style, begin: int, end: int) -> None:
    if end > 0 and begin < len(text):
        text.stylize(style, max(0, begin), end)
