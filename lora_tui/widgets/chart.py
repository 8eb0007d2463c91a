"""The chart of the losses, on Textual's line API.

    chart = LossChart(id="loss")                      # mount it as any widget; it takes the room it gets
    chart.show([ChartRun("zibo-portrait", snapshot)]) # at every tick, with the same snapshot or another one
    chart.zoom(2)  chart.zoom(1 / 2)                  # half, twice as many steps
    chart.pan(-0.25)  chart.pan(0.25)                 # a quarter of what is shown to the left, to the right
    chart.whole()  chart.last(500)                    # the whole run, its last 500 steps
    chart.toggle_log()                                # linear or log; `chart.log_scale` tells which
    chart.ascii = True                                # `*` and `.` instead of braille
    chart.view_text                                   # what is shown in words: "last 500 steps"

With more than one run, `show` draws their averages in one chart: each has a colour, a number on its line and in the
legend. A tick costs the same for a run of any length, and only rows whose cells changed are painted anew. Figures that
are no numbers are gaps. The keys belong to the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from engine.plan.errors import inert
from engine.runs.snapshot import Snapshot
from lora_tui.plot import Line, Picture, Row, draw
from lora_tui.series import Series, Window

MOST_RUNS = 6  # more lines than that nobody can tell apart
NAME_LENGTH = 24


@dataclass(frozen=True)
class ChartRun:
    """A run in a chart. `over`: no more steps will come."""

    name: str
    snapshot: Snapshot
    over: bool = False


class LossChart(Widget):
    """The losses of one run, or the averages of several; see the module."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--raw",
        "chart--average",
        "chart--axis",
        "chart--mark",
        "chart--validation",
        "chart--title",
        *(f"chart--run-{number}" for number in range(1, MOST_RUNS + 1)),
    }
    DEFAULT_CSS = """
    LossChart { height: 1fr; width: 1fr; }
    LossChart > .chart--raw { color: $foreground 40%; }
    LossChart > .chart--average { color: $accent; text-style: bold; }
    LossChart > .chart--axis { color: $foreground 60%; }
    LossChart > .chart--mark { color: $foreground 60%; }
    LossChart > .chart--title { color: $foreground; text-style: bold; }
    LossChart > .chart--validation { color: $warning; text-style: bold; }
    LossChart > .chart--run-1 { color: $accent; text-style: bold; }
    LossChart > .chart--run-2 { color: $success; text-style: bold; }
    LossChart > .chart--run-3 { color: $warning; text-style: bold; }
    LossChart > .chart--run-4 { color: $error; text-style: bold; }
    LossChart > .chart--run-5 { color: $secondary; text-style: bold; }
    LossChart > .chart--run-6 { color: $primary; text-style: bold; }
    """

    ascii = reactive(False)

    def __init__(self, *, title: str = "loss", id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.title = title
        self.log_scale = False
        self.window = Window()
        self._runs: Sequence[ChartRun] = ()
        self._series: list[Series] = []
        self._shown: object = None  # what the rows were drawn from
        self._rows: list[Row] = []
        self._strips: dict[int, Strip] = {}
        self.painted = 0  # rows handed to Textual so far, for measurements and tests

    def show(self, runs: Sequence[ChartRun]) -> None:
        """Draw these runs as they are now (the first six of them); returns at once when nothing is new."""
        self._runs = runs[:MOST_RUNS]
        while len(self._series) < len(self._runs):
            self._series.append(Series())
        del self._series[len(self._runs) :]
        for series, run in zip(self._series, self._runs, strict=True):
            s = run.snapshot
            series.update(s.steps, s.losses, s.loss_avgs, (id(s), s.rewound))
        self._draw()

    def zoom(self, factor: float) -> None:
        """Show 1/`factor` as many steps; 1 / 2 is out."""
        self.window.zoom(factor, self.newest)
        self._draw()

    def pan(self, fraction: float) -> None:
        """Move by a part of what is shown; negative is to the left. At the newest step it follows again."""
        self.window.pan(fraction, self.newest)
        self._draw()

    def whole(self) -> None:
        self.window.whole()
        self._draw()

    def last(self, count: int) -> None:
        """The last `count` steps, from now on too."""
        self.window.last(count, self.newest)
        self._draw()

    def toggle_log(self) -> None:
        self.log_scale = not self.log_scale
        self._draw()

    @property
    def newest(self) -> int:
        """The last step of all runs; 0 before the first."""
        return max((series.newest for series in self._series), default=0)

    @property
    def view_text(self) -> str:
        """Which steps are shown, in words."""
        return self.window.text

    def watch_ascii(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return container.height

    def _draw(self) -> None:
        width, height = self.size
        over = all(run.over or run.snapshot.end is not None for run in self._runs)
        first, last = self.window.bounds(self.newest, over)
        state = [
            (run.name, id(s := run.snapshot), s.rewound, len(s.steps), len(s.validation), len(s.saved))
            for run in self._runs
        ]
        shown = (state, width, height, first, last, self.log_scale, self.ascii, self.view_text)
        if shown == self._shown or not width or not height:
            return
        self._shown = shown
        lines = [
            Line(
                inert(run.name, NAME_LENGTH),
                series.buckets(first, last, 2 * width),
                number,
                run.snapshot.validation,
                [(saved.step, f"epoch {saved.epoch}") for saved in run.snapshot.saved if saved.epoch],
            )
            for number, (run, series) in enumerate(zip(self._runs, self._series, strict=True), 1)
        ]
        picture = Picture(width, height, first, last, lines, self.log_scale, self.ascii, self.title, self.view_text)
        self._put(draw(picture))

    def _put(self, rows: list[Row]) -> None:
        """Show these rows from now on; only those that changed are painted."""
        old, self._rows = self._rows, rows
        if len(old) != len(rows):
            self._strips.clear()
            self.refresh()
            return
        changed = [y for y, row in enumerate(rows) if row != old[y]]
        for y in changed:
            self._strips.pop(y, None)
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        strip = self._strips.get(y)
        if strip is None:
            self.painted += 1
            row = self._rows[y] if y < len(self._rows) else ()
            base = self.rich_style
            segments = [Segment(text, self._role(role)) for text, role in row]
            strip = self._strips[y] = Strip(segments).adjust_cell_length(self.size.width, base)
        return strip

    def _role(self, role: str) -> Style:
        return self.get_component_rich_style(f"chart--{role}")
