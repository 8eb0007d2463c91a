"""A widget that shows lines of text and repaints only those that have changed: what a dashboard over ssh needs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from lora_tui.widgets.colours import repaint
from lora_tui.widgets.paint import text_in_ascii


class Lines(Widget):
    """Shows what `show` was given last. A line that is too long is cut with "…", and so ends what has too many lines.

    Setting the same lines again costs nothing and sends nothing to the terminal.
    """

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Text] = []
        self._strips: dict[int, Strip] = {}
        self._drawn_for = Size(0, 0)

    @property
    def plain(self) -> list[str]:
        """The lines without their styles, before anything is cut."""
        return [text.plain for text in self._lines]

    def show(self, lines: Sequence[Text]) -> None:
        """Show these lines from now on."""
        before, went_on = self._lines, self._goes_on
        self._lines = list(lines)
        if len(before) != len(self._lines) and self.styles.height is not None and self.styles.height.is_auto:
            self._strips.clear()
            self.refresh(layout=True)
            # Textual counts only the first such request until the widget is idle, and answers the others from a cache,
            # also where the height was asked for in between: a screen that comes up lays out at once.
            self._layout_updates += 1
            return
        changed = [
            row
            for row in range(max(len(before), len(self._lines)))
            if row >= len(before) or row >= len(self._lines) or before[row] != self._lines[row]
        ]
        width, height = self.size
        if went_on != self._goes_on and height - 1 not in changed:
            changed.append(height - 1)
        for row in changed:
            self._strips.pop(row, None)
        if changed and width:
            self.refresh(*(Region(0, row, width, 1) for row in changed))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines)

    def notify_style_update(self) -> None:
        """Also when another theme is chosen."""
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        if self._drawn_for != self.size:  # known before anybody is told: a scrollbar may have come
            self._strips.clear()
            self._drawn_for = self.size
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._draw(y)
        return strip

    @property
    def _goes_on(self) -> bool:
        """Whether anything stands below the last line that there is room for."""
        height = self.size.height
        return height > 0 and any(text.plain.strip() for text in self._lines[height:])

    def _draw(self, y: int) -> Strip:
        width, style = self.size.width, self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, style)
        text = self._lines[y]
        ascii_only = getattr(self.app, "ascii_only", False)
        text = (text_in_ascii(text) if ascii_only else text).copy()
        text.rstrip_end(width)  # only blanks were too much
        cut = "..." if ascii_only else "…"
        if y == self.size.height - 1 and self._goes_on:
            text.append(f" {cut}")
        if text.cell_len > width:
            text.set_length(max(0, _characters(text, width - len(cut))))
            text.append(cut)
        segments = repaint(text, self.app.theme).render(self.app.console)
        return joined(Strip(segments).adjust_cell_length(width, style).apply_style(style))


def joined(strip: Strip) -> Strip:
    """The same to look at in fewer pieces, each of which costs 40 bytes to send: blanks need no ink of their own."""
    pieces: list[Segment] = []
    for segment in strip:
        text, style, _ = segment
        if pieces and style is not None and (before := pieces[-1].style) is not None:
            last = pieces[-1].text
            if style == before or (_only_ground(text, style) and _same_ground(style, before)):
                pieces[-1] = Segment(last + text, before)
                continue
            if _only_ground(last, before) and _same_ground(before, style):
                pieces[-1] = Segment(last + text, style)
                continue
        pieces.append(segment)
    return Strip(pieces, strip.cell_length)


def _only_ground(text: str, style: Style) -> bool:
    return text.isspace() and not (style.underline or style.underline2 or style.strike or style.reverse or style.meta)


def _same_ground(blank: Style, inked: Style) -> bool:
    return blank.bgcolor == inked.bgcolor and not (
        inked.underline or inked.underline2 or inked.strike or inked.reverse or inked.meta
    )


def _characters(text: Text, cells: int) -> int:
    """How many characters of `text` fit into `cells`; some are two cells wide."""
    from rich.cells import cell_len

    plain = text.plain[: max(0, cells)]
    while cell_len(plain) > cells:
        plain = plain[:-1]
    return len(plain)
