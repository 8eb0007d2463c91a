"""The losses of several runs in one chart, live."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches

from engine.plan.errors import inert
from engine.runs.events import SLICE_EVENTS
from engine.runs.folder import RunFolder
from engine.runs.state import Observation, RunView
from lora_tui.screens.keys import LAST_STEPS
from lora_tui.screens.page import Page
from lora_tui.screens.sentences import SIGNS
from lora_tui.widgets.chart import MOST_RUNS, ChartRun, LossChart
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, line

LOOK_SECONDS = 1.0


class CompareScreen(Page[None]):
    """The averages of up to six runs over their steps, and under them where each has got to."""

    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "log_scale", "log scale", id="log_scale", tooltip="A logarithmic scale, and back."),
        Binding("plus", "zoom(2)", "zoom", id="zoom", tooltip="Show half as many steps, from closer."),
        Binding("equals_sign", "zoom(2)", "zoom", show=False),
        Binding("minus", "zoom(0.5)", "out", id="zoom_out", tooltip="Show twice as many steps."),
        Binding("left", "pan(-1)", "left", show=False, tooltip="Move through the chart."),
        Binding("right", "pan(1)", "right", show=False, tooltip="Move through the chart."),
        Binding("0", "whole", "whole", id="whole", tooltip="Show the whole runs."),
        Binding("9", "last", "last 500", id="last", tooltip="Show the last 500 steps."),
        Binding("escape", "back", "back", id="back", tooltip="Back to the list of runs."),
    ]

    def __init__(self, runs: Sequence[RunFolder]) -> None:
        super().__init__()
        self.left_out = max(0, len(runs) - MOST_RUNS)
        self.views = [RunView(run) for run in runs[:MOST_RUNS]]
        self.seen: dict[RunView, Observation] = {}
        self._reading: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield LossChart(id="chart")
        yield Lines(id="rows")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self.query_one(LossChart).ascii = getattr(self.app, "ascii_only", False)
        note = f"{self.left_out} more are left out: a chart shows {MOST_RUNS}" if self.left_out else ""
        self.query_one("#header", Lines).show([line((" Runs compared", STRONG)), line((f" {note}", DIM))])
        self.show_hints()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    def on_unmount(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        while True:
            try:
                for view in self.views:
                    seen = view.refresh(limit=SLICE_EVENTS)
                    while seen.more:
                        await asyncio.sleep(0)  # keys come first
                        seen = view.refresh(limit=SLICE_EVENTS)
                    self.seen[view] = seen
                    self.paint()
            except NoMatches:
                return  # the screen is being taken down, its widgets first
            except Exception as error:  # a task's exception would only be told when the app is gone
                self.app._handle_exception(error)
                return
            await asyncio.sleep(LOOK_SECONDS)

    def paint(self) -> None:
        shown = [
            ChartRun(view.run.name, view.snapshot, self.seen[view].over) for view in self.views if view in self.seen
        ]
        self.query_one(LossChart).show(shown)
        lines = []
        for number, view in enumerate(self.views, 1):
            seen = self.seen.get(view)
            if seen is None:
                lines.append(line(f" {number} {inert(view.run.name):<22}", ("reading…", DIM)))
                continue
            sign, style = SIGNS[seen.state]
            snapshot = seen.snapshot
            loss = f"loss {snapshot.loss_avg:.4f}" if snapshot.loss_avg is not None else ""
            steps = f"  step {snapshot.step:,} of {snapshot.total_steps:,}  "
            name = f" {number} {inert(view.run.name):<22}"
            lines.append(line(name, (f"{sign} {seen.state:<10}", style), steps, (loss, STRONG)))
        self.query_one("#rows", Lines).show(lines)

    def action_log_scale(self) -> None:
        self.query_one(LossChart).toggle_log()

    def action_zoom(self, factor: float) -> None:
        self.query_one(LossChart).zoom(factor)

    def action_pan(self, by: int) -> None:
        self.query_one(LossChart).pan(by / 4)

    def action_whole(self) -> None:
        self.query_one(LossChart).whole()

    def action_last(self) -> None:
        self.query_one(LossChart).last(LAST_STEPS)

    def action_back(self) -> None:
        self.dismiss(None)
