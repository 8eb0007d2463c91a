"""The engine's log and the warnings of a run: the panel's lines, and the whole of it on a screen of its own."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from engine.plan.errors import inert
from engine.runs.folder import RunFolder
from engine.runs.state import Observation
from lora_tui.screens.figures import warnings
from lora_tui.screens.page import Page
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, line

PANEL_LINES = 40
WHOLE_BYTES, WHOLE_LINES = 512 * 1024, 4000  # the log itself is kept under 4 MiB by the engine


class LogTail:
    """The last lines of engine.log, read again only after the file has changed."""

    def __init__(self, run: RunFolder) -> None:
        self._path = run.log_path
        self._seen: tuple[int, int] | None = None
        self.lines: list[str] = []

    def refresh(self) -> list[str]:
        try:
            stat = self._path.stat()
        except OSError:
            self.lines = []
            return self.lines
        if (stat.st_size, stat.st_mtime_ns) != self._seen:
            self._seen = (stat.st_size, stat.st_mtime_ns)
            self.lines = tail(self._path, PANEL_LINES)
        return self.lines


def tail(path: object, count: int, most_bytes: int = 16 * 1024) -> list[str]:
    """The last lines of a file that are not blank, harmless for a terminal."""
    try:
        with open(str(path), "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            data = file.read(most_bytes)
    except OSError:
        return []
    rows = data.decode("utf-8", "replace").splitlines()
    if size > most_bytes:
        rows = rows[1:]  # cut in the middle
    return [inert(row) for row in rows[-count * 2 :] if row.strip()][-count:]


def panel(seen: Observation, log: list[str], height: int) -> list[Text]:
    """The newest warnings, at most half of the room while the log needs the rest, and under them the log's end."""
    told = warnings(seen)
    room = max(1, height // 2) if log else height
    shown = told[:room]
    if len(told) > room:
        shown = [*told[: room - 1], line((f"   and {len(told) - room + 1} more warnings", DIM))]
    rest = height - len(shown)
    lines = [*shown, *(line((f" {row}", DIM)) for row in log[-rest:] if rest > 0)]
    return lines or [line((" nothing has been said", DIM))]


class LogScreen(Page[None]):
    """Warnings first, then the log to its end; it follows the end until one scrolls up."""

    CSS_PATH = "log.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll(-1)", "up", id="up", tooltip="Up."),
        Binding("down", "scroll(1)", "down", id="down", tooltip="Down."),
        Binding("left", "page(-1)", "page up", id="page-up", tooltip="A page up."),
        Binding("right", "page(1)", "page down", id="page-down", tooltip="A page down."),
        Binding("0", "first", "start", id="start", tooltip="To the first line."),
        Binding("9", "newest", "end", id="end", tooltip="To the last line; new ones are then followed."),
        Binding("escape", "back", "back", id="back", tooltip="Back to the dashboard."),
        Binding("l", "back", "back", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "first", "start", show=False),
        Binding("end", "newest", "end", show=False),
    ]

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self._run = run
        self._shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        with VerticalScroll(id="whole", can_focus=False):
            yield Lines(id="lines")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        title = line((" Log and warnings", STRONG), ("  run ", DIM), inert(self._run.name))
        self.query_one("#header", Lines).show([title, line((f" {inert(self._run.log_path)}", DIM))])
        self.show_hints()

    def on_resize(self) -> None:
        self._shown = ()

    def follow(self, seen: Observation) -> None:
        width = self.app.size.width
        try:
            stat = self._run.log_path.stat()
            state: tuple[object, ...] = (stat.st_size, stat.st_mtime_ns, len(seen.snapshot.warnings), width)
        except OSError:
            state = (0, 0, len(seen.snapshot.warnings), width)
        if state == self._shown:
            return
        self._shown = state
        place = self.query_one("#whole", VerticalScroll)
        at_end = place.max_scroll_y - place.scroll_y <= 1
        rows = list(reversed(warnings(seen)))
        rows = [*rows, line()] if rows else []
        for row in tail(self._run.log_path, WHOLE_LINES, WHOLE_BYTES):
            rows += [line(f" {part}") for part in textwrap.wrap(row, max(20, width - 3)) or [""]]
        self.query_one("#lines", Lines).show(rows or [line((" The engine and its libraries have said nothing.", DIM))])
        if at_end:
            self.call_after_refresh(place.scroll_end, animate=False, immediate=True)

    def action_scroll(self, by: int) -> None:
        self.query_one("#whole", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        place = self.query_one("#whole", VerticalScroll)
        place.scroll_relative(y=by * max(1, place.size.height - 1), animate=False)

    def action_first(self) -> None:
        self.query_one("#whole", VerticalScroll).scroll_home(animate=False)

    def action_newest(self) -> None:
        self.query_one("#whole", VerticalScroll).scroll_end(animate=False)

    def action_back(self) -> None:
        self.dismiss(None)
