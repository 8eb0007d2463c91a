"""All runs of a project, or of the projects used lately: what each is doing, and how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.css.query import NoMatches
from textual.geometry import Region

from engine.plan.errors import inert
from engine.runs.events import SLICE_EVENTS
from engine.runs.folder import RunFolder, list_runs
from engine.runs.state import Observation, RunView
from lora_tui.job_kinds import state_in_words
from lora_tui.readable import at
from lora_tui.screens.page import Page
from lora_tui.screens.sentences import SIGNS
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, BACKGROUND, DIM, STRONG, WARN, Part, line
from lora_tui.widgets.status import Status

MOST_RUNS = 200  # newest first; older ones are in `lora-tui runs`
LIST_SECONDS = 3.0  # between two looks for new runs
OVER_LOOK_SECONDS = 3.0  # a run that is over may be resumed by somebody else
LIVE_LOOK_SECONDS = 1.0
_HERE = Style(color=BACKGROUND, bgcolor=ACCENT.color, bold=True)


class Row:
    """One run of the list, read a slice at a time."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.dry = run.is_dry_run  # its job is frozen
        self.view = RunView(run)
        self.seen: Observation | None = None
        self.due = 0.0

    def look(self) -> bool:
        """Read on; True while there is more to read."""
        self.seen = self.view.refresh(limit=SLICE_EVENTS)
        self.due = time.monotonic() + (OVER_LOOK_SECONDS if self.seen.over else LIVE_LOOK_SECONDS)
        return self.seen.more


class RunsScreen(Page[None]):
    """Enter opens the dashboard of a run, space marks it, and the marked ones are compared in one chart."""

    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="open", tooltip="Open this run: how far it is, and what it says."),
        Binding("space", "mark", "mark", id="mark", tooltip="Mark this run, to compare it with others."),
        Binding("c", "compare", "compare", id="compare", tooltip="Show the losses of the marked runs in one chart."),
        Binding("up", "move(-1)", "up", show=False, tooltip="The run above."),
        Binding("down", "move(1)", "down", show=False, tooltip="The run below."),
        Binding("0", "move(-100000)", "first", show=False, tooltip="To the first run."),
        Binding("9", "move(100000)", "last", show=False, tooltip="To the last run."),
        Binding("escape", "back", "back", id="back", tooltip="Back to the screen before."),
    ]

    def __init__(self, folders: Sequence[Path]) -> None:
        """`folders`: projects, or folders of runs."""
        super().__init__()
        self._folders = list(folders)
        self.rows: list[Row] = []
        self.marked: set[RunFolder] = set()
        self.here: RunFolder | None = None
        self._reading: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Lines(id="columns")
        with VerticalScroll(id="list", can_focus=False):
            yield Lines(id="rows")
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        where = inert(self._folders[0]) if len(self._folders) == 1 else f"{len(self._folders)} projects used lately"
        self.query_one("#header", Lines).show([line((" Runs", STRONG)), line((f" {where}", DIM))])
        self._find()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    def on_unmount(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        listed = time.monotonic()
        while True:
            try:
                if time.monotonic() - listed > LIST_SECONDS:
                    self._find()
                    listed = time.monotonic()
                for row in list(self.rows):
                    while time.monotonic() >= row.due and row.look():
                        row.due = 0.0
                        await asyncio.sleep(0)  # keys come first
                    await asyncio.sleep(0)
                if self.is_attached:
                    self.paint()
            except NoMatches:
                return  # the screen is being taken down, its widgets first
            except Exception as error:  # a task's exception would only be told when the app is gone
                self.app._handle_exception(error)
                return
            await asyncio.sleep(LIVE_LOOK_SECONDS)

    def _find(self) -> None:
        """Take over new runs and drop removed ones; what was read of the others stays."""
        known = {row.run: row for row in self.rows}
        found = [run for folder in self._folders for run in list_runs(folder)]
        found = sorted(found, key=lambda run: run.name, reverse=True)[:MOST_RUNS]
        self.rows = [known.get(run) or Row(run) for run in found]
        self.marked &= set(found)
        if self.here not in found:
            self.here = found[0] if found else None
        self.paint()

    def paint(self) -> None:
        width = self.app.size.width
        columns = f"   {'run':<20}{'state':<12}{'step':<16}{'loss':<9}last word"
        self.query_one("#columns", Lines).show([line((columns, DIM))])
        now = time.time()
        lines = [line(*self._row(row, now, width)) for row in self.rows]
        empty = "No runs yet. Start one: lora-tui train DIR"
        self.query_one("#rows", Lines).show(lines or [line((f" {empty}", DIM))])
        self.query_one(Status).say("ok", self._advice())
        self.show_hints()

    def _row(self, row: Row, now: float, width: int) -> list[Part]:
        here = row.run == self.here
        style = _HERE if here else STRONG
        parts: list[Part] = [("▸" if here else " ", ACCENT), ("* " if row.run in self.marked else "  ", WARN)]
        parts += [(f"{inert(row.run.name, 19):<19}", style), " "]
        seen = row.seen
        if seen is None or seen.more:
            return [*parts, ("reading…", DIM)]
        snapshot = seen.snapshot
        sign, colour = SIGNS[seen.state]
        parts.append((f"{sign} {state_in_words(row.run, seen.state):<10}", colour))
        job = "dry run" if row.dry else snapshot.job or row.run.kind
        step = f"{snapshot.step:,}/{snapshot.total_steps:,}" if snapshot.total_steps else ""
        parts.append(f"{f'{job} {step}' if row.dry else step or job:<16}")
        parts.append(f"{snapshot.loss_avg:.4f}   " if snapshot.loss_avg is not None else "         ")
        if snapshot.last_event_time:
            parts.append((f"{at(snapshot.last_event_time, now):<13}", DIM))
        if len(self._folders) > 1:
            parts.append((inert(row.run.path.parent.parent.name, 24), DIM))
        return parts

    def _advice(self) -> str:
        marked = len(self.marked)
        if marked >= 2:
            return f"{marked} runs are marked: {self.key('compare')} shows their losses in one chart."
        return f"Mark two or more with {self.key('mark')} to compare their losses."

    def offered(self, action: str) -> bool:
        return action != "compare" or len(self.marked) >= 2

    def action_move(self, by: int) -> None:
        runs = [row.run for row in self.rows]
        if not runs or self.here is None:
            return
        place = max(0, min(len(runs) - 1, runs.index(self.here) + by))
        self.here = runs[place]
        self.paint()
        self.query_one("#list", VerticalScroll).scroll_to_region(Region(0, place, 1, 1), animate=False)

    def action_mark(self) -> None:
        if self.here is not None:
            self.marked ^= {self.here}
            self.paint()

    def action_open(self) -> None:
        from lora_tui.screens.job import screen_of

        if self.here is not None:
            self.app.push_screen(screen_of(self.here))

    def action_compare(self) -> None:
        from lora_tui.screens.compare import CompareScreen

        if len(self.marked) < 2:
            self.query_one(Status).say("!", self._advice())
            return
        self.app.push_screen(CompareScreen([row.run for row in reversed(self.rows) if row.run in self.marked]))

    def action_back(self) -> None:
        if len([screen for screen in self.app.screen_stack if isinstance(screen, Page)]) > 1:
            self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """A click chooses a run, a double click opens it."""
        region = self.query_one("#rows").region
        place = event.screen_y - region.y
        if region.contains(event.screen_x, event.screen_y) and 0 <= place < len(self.rows):
            if event.chain == 2 and self.here == self.rows[place].run:
                self.action_open()
            else:
                self.here = self.rows[place].run
                self.paint()
