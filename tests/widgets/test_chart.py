"""The chart: nothing a training may say breaks it, it shows what it says it shows, and a tick costs little."""

from __future__ import annotations

import asyncio
import math
import sys
from array import array
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from engine.runs.fold import fold
from engine.runs.snapshot import Saved, Snapshot
from lora_tui.plot import Line, Picture, draw
from lora_tui.series import CAPACITY, Buckets, Series, Window
from lora_tui.widgets.chart import ChartRun, LossChart

NAN, INF = math.nan, math.inf


def history(losses: list[float], averages: list[float] | None = None) -> Snapshot:
    snapshot = Snapshot()
    extend(snapshot, losses, averages)
    return snapshot


def extend(snapshot: Snapshot, losses: list[float], averages: list[float] | None = None) -> None:
    done = len(snapshot.steps)
    snapshot.steps.extend(range(done + 1, done + 1 + len(losses)))
    for values in (snapshot.losses, snapshot.ds, snapshot.lrs):
        values.extend(losses)
    snapshot.loss_avgs.extend(losses if averages is None else averages)


def falling(count: int) -> list[float]:
    return [0.1 + 0.2 * math.exp(-n / 300) + 0.02 * math.sin(n) for n in range(count)]


class Shown(App[None]):
    def compose(self) -> ComposeResult:
        yield LossChart(id="chart")


def in_app(size: tuple[int, int], act: Callable[[Shown, LossChart], Awaitable[None]]) -> None:
    async def run() -> None:
        app = Shown()
        async with app.run_test(size=size):
            await act(app, app.query_one(LossChart))

    asyncio.run(run())


def text(chart: LossChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


def plotted(rows: list[str]) -> int:
    return sum(0x2800 < ord(char) <= 0x28FF for row in rows for char in row)


BAD_HISTORIES = {
    "no point": [],
    "one point": [0.5],
    "all nan": [NAN] * 50,
    "nan and inf": [0.1, NAN, INF, -INF, 0.2] * 20,
    "one number among nan": [NAN] * 20 + [0.3] + [NAN] * 20,
    "zero": [0.0] * 30,
    "negative": [-1.0, -2.0, 3.0] * 10,
    "the same": [0.25] * 400,
    "huge": [1e300, -1e300, 5e-324, 1e99, -1e99] * 9,
    "all but nothing": [2e-313] * 5,
    "tiny": [1e-300, 3e-310, 2e-308] * 9,
}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (20, 5), (3, 2), (1, 1)])
def test_nothing_that_a_training_says_breaks_it(size: tuple[int, int]) -> None:
    async def act(app: Shown, chart: LossChart) -> None:
        for losses in BAD_HISTORIES.values():
            snapshot = history(losses)
            for ascii in (False, True):
                chart.ascii = ascii
                for _ in range(2):  # linear and log
                    chart.toggle_log()
                    chart.show([ChartRun("x", snapshot)])
                    chart.zoom(4)
                    chart.pan(-0.5)
                    rows = text(chart)
                    assert all(len(row) == chart.size.width for row in rows)
                    chart.whole()

    in_app(size, act)


def test_a_chart_of_a_falling_loss_falls_and_says_where() -> None:
    async def act(app: Shown, chart: LossChart) -> None:
        snapshot = history(falling(3000))
        snapshot.saved += [Saved("a", 1000, 1, 5), Saved("b", 2000, 2, 5)]
        chart.show([ChartRun("x", snapshot, over=True)])
        rows = text(chart)
        assert rows[0].startswith("loss  · raw  ━ average")
        assert rows[0].endswith("whole run")
        assert "epoch 1" in rows[-1]
        assert "epoch 2" in rows[-1]
        assert rows[-1].endswith("3,000")
        assert rows[-2].count("┬") == 2
        assert "0.30" in rows[1] + rows[2]
        third = len(rows) // 3
        assert plotted([row[40:] for row in rows[1:third]]) == 0
        assert plotted([row[6:16] for row in rows[1:third]]) > 0

    in_app((80, 24), act)


def test_in_ascii_there_is_nothing_but_ascii() -> None:
    async def act(app: Shown, chart: LossChart) -> None:
        chart.ascii = True
        snapshot = history(falling(500))
        snapshot.validation += [(100, 0.2), (300, 0.18)]
        chart.show([ChartRun("x", snapshot)])
        rows = text(chart)
        assert all(row.isascii() for row in rows)
        assert "*" in "".join(rows)
        assert sum(row.count("o") for row in rows[1:-2]) == 2
        chart.show([ChartRun("x", snapshot), ChartRun("y", history(falling(300)))])
        assert all(row.isascii() for row in text(chart))

    in_app((80, 24), act)


def test_compared_runs_differ_by_more_than_colour() -> None:
    async def act(app: Shown, chart: LossChart) -> None:
        chart.show([ChartRun("first", history(falling(900))), ChartRun("[b]\x1b[31m", history([0.5] * 900))])
        rows = text(chart)
        assert rows[0].startswith("loss  1 first  2 [b]\\x1b[31m")
        body = [row[8:] for row in rows[1:-2]]
        assert sum(row.count("1") for row in body) >= 2
        assert sum(row.count("2") for row in body) >= 2

    in_app((100, 30), act)


@pytest.mark.parametrize("width", range(5, 40))
def test_names_in_wide_letters_keep_the_rows_as_wide_as_the_chart(width: int) -> None:
    buckets = Buckets()
    rows = draw(Picture(width, 10, 0, 10, [Line("日本語の絵", buckets), Line("é\u0301", buckets, 2)], note="whole run"))
    assert all(sum(cell_len(part) for part, _ in row) == width for row in rows)


def test_only_rows_that_changed_are_painted_anew() -> None:
    async def act(app: Shown, chart: LossChart) -> None:
        snapshot = history(falling(5000))
        chart.show([ChartRun("x", snapshot)])
        before = text(chart)
        painted = chart.painted
        chart.show([ChartRun("x", snapshot)])
        text(chart)
        assert chart.painted == painted  # nothing new, nothing painted
        regions: list[int] = []
        chart.refresh = lambda *areas, **_: regions.extend(area.y for area in areas)  # type: ignore[method-assign]
        extend(snapshot, [0.1] * 25)
        chart.show([ChartRun("x", snapshot)])
        after = text(chart)
        changed = [y for y in range(len(after)) if after[y] != before[y]]
        assert 0 < len(changed) < len(after) / 2
        assert set(changed) <= set(regions)
        assert chart.painted - painted == len(regions) < len(after) / 2

    in_app((120, 40), act)


def test_it_follows_the_newest_step_unless_it_was_panned() -> None:
    async def act(app: Shown, chart: LossChart) -> None:
        snapshot = history(falling(2000))
        chart.show([ChartRun("x", snapshot)])
        chart.last(500)
        assert chart.view_text == "last 500 steps"
        extend(snapshot, falling(1000))
        chart.show([ChartRun("x", snapshot)])
        assert chart.view_text == "last 500 steps"
        assert int(text(chart)[-1].split()[-1].replace(",", "")) >= 3000
        chart.pan(-1.0)
        assert chart.view_text == "steps 2,000 to 2,500"
        still = text(chart)
        extend(snapshot, falling(1000))
        chart.show([ChartRun("x", snapshot)])
        assert text(chart) == still
        chart.zoom(2)
        assert chart.view_text == "steps 2,125 to 2,375"
        chart.pan(50)
        assert chart.view_text == "last 250 steps"
        chart.zoom(1 / 1000)
        assert chart.view_text == "whole run"

    in_app((80, 24), act)


def test_steps_that_were_taken_back_disappear() -> None:
    def event(step: int, loss: float) -> dict[str, object]:
        return {"seq": step, "kind": "step", "step": step, "loss": loss, "loss_avg": loss}

    async def act(app: Shown, chart: LossChart) -> None:
        snapshot = fold(event(step, 0.1 if step <= 500 else 9.0) for step in range(1, 1001))
        chart.show([ChartRun("x", snapshot)])
        assert any(row.strip().startswith(("7.5", "8", "9", "10")) for row in text(chart))
        # Between two ticks: taken back to 500, and further than before again.
        fold([{"seq": 1, "kind": "resumed", "from_step": 500}], snapshot)
        fold((event(step, 0.1) for step in range(501, 1100)), snapshot)
        chart.show([ChartRun("x", snapshot)])
        rows = text(chart)
        chart.show([ChartRun("x", fold(event(step, 0.1) for step in range(1, 1100)))])
        assert rows == text(chart)

    in_app((80, 24), act)


def test_a_zoomed_chart_is_the_same_whether_it_grew_or_was_opened_late() -> None:
    async def act(app: Shown, chart: LossChart) -> None:
        losses = falling(34_000)
        snapshot = history(losses[:30_000])
        chart.show([ChartRun("x", snapshot)])
        chart.last(400)  # finer than the buckets of the whole run
        for start in range(30_000, 34_000, 37):
            extend(snapshot, losses[start : min(start + 37, 34_000)])
            chart.show([ChartRun("x", snapshot)])
        grown = text(chart)
        chart.show([ChartRun("x", history(losses))])
        assert text(chart) == grown

    in_app((80, 24), act)


def test_changing_the_size_draws_it_anew() -> None:
    async def run() -> None:
        app = Shown()
        async with app.run_test(size=(80, 24)) as pilot:
            chart = app.query_one(LossChart)
            chart.show([ChartRun("x", history(falling(900)))])
            await pilot.resize_terminal(40, 12)
            await pilot.pause()
            rows = text(chart)
            assert len(rows) == chart.size.height == 12
            assert all(len(row) == 40 for row in rows)
            assert plotted(rows) > 20

    asyncio.run(run())


# ------------------------------------------------------------------------------------------------ without a screen


@pytest.mark.parametrize("span", [None, 1000.0])
def test_a_picture_that_follows_stands_still_for_most_ticks(span: float | None) -> None:
    window = Window(span)
    pictures = {window.bounds(newest) for newest in range(5000, 5100)}
    assert len(pictures) <= 4
    assert all(first < 5000 <= last for first, last in pictures)
    assert window.bounds(5001, over=True)[1] == 5001


def test_memory_does_not_grow_with_the_run() -> None:
    series = Series()
    snapshot = history([0.1] * 200_000)
    series.update(snapshot.steps, snapshot.losses, snapshot.loss_avgs)
    assert len(series.whole) <= CAPACITY
    assert sum(series.whole.steps) == 200_000


def test_the_work_of_a_tick_does_not_grow_with_the_run() -> None:
    def work(steps: int) -> int:
        """Python calls and lines of one tick."""
        series, window = Series(), Window()
        snapshot = history(falling(steps))
        series.update(snapshot.steps, snapshot.losses, snapshot.loss_avgs)
        window.last(500, steps)
        series.buckets(*window.bounds(series.newest), 200)
        extend(snapshot, [0.1, 0.2])
        count = 0

        def trace(*_: object) -> object:
            nonlocal count
            count += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            series.update(snapshot.steps, snapshot.losses, snapshot.loss_avgs)
            buckets = series.buckets(*window.bounds(series.newest), 200)
            draw(Picture(100, 30, *window.bounds(series.newest), [Line("x", buckets)]))
        finally:
            sys.settrace(before)
        return count

    few, many = work(2000), work(100_000)
    assert many < 1.5 * few


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(numbers, numbers), max_size=300),
    st.integers(1, 90),
    st.integers(1, 30),
    st.booleans(),
    st.booleans(),
    st.floats(0.1, 50),
)
def test_every_history_fits_every_size(
    points: list[tuple[float, float]], width: int, height: int, log: bool, ascii: bool, zoom: float
) -> None:
    steps = array("q", range(1, len(points) + 1))
    raw, smooth = array("d", [p[0] for p in points]), array("d", [p[1] for p in points])
    series, window = Series(), Window()
    series.update(steps, raw, smooth)
    window.zoom(zoom, series.newest)
    window.pan(-0.3, series.newest)
    first, last = window.bounds(series.newest)
    lines = [Line("x", series.buckets(first, last, 2 * width), validation=[(1, INF), (2, NAN), (3, None), (4, 0.1)])]
    for drawn in (lines, [*lines, Line("y", series.whole, 2)]):
        rows = draw(Picture(width, height, first, last, drawn, log, ascii))
        assert len(rows) == height
        assert all(sum(len(part) for part, _ in row) == width for row in rows)


@settings(deadline=None, max_examples=40)
@given(st.lists(numbers, max_size=200), st.lists(st.integers(1, 50), max_size=20), st.integers(4, 64))
def test_folded_buckets_lose_no_point(losses: list[float], cuts: list[int], capacity: int) -> None:
    steps, raw = array("q", range(1, len(losses) + 1)), array("d", losses)
    buckets = Buckets(capacity=capacity)
    done = 0
    for cut in [*cuts, len(losses)]:
        end = min(len(losses), done + cut)
        buckets.add(steps, raw, raw, done, end)
        done = end
    finite = [value for value in losses if abs(value) < 1e100]
    assert len(buckets) <= capacity
    assert sum(buckets.steps) == len(losses)
    assert min(buckets.lows, default=INF) == min(finite, default=INF)
    assert max(buckets.highs, default=-INF) == max(finite, default=-INF)


def test_a_gap_is_a_gap() -> None:
    series = Series()
    snapshot = history([0.2] * 40 + [NAN] * 40 + [0.2] * 40, [NAN] * 120)
    series.update(snapshot.steps, snapshot.losses, snapshot.loss_avgs)
    rows = draw(Picture(60, 10, 0, 120, [Line("x", series.whole)]))
    line = "".join(max(("".join(part for part, _ in row) for row in rows[1:8]), key=lambda row: plotted([row])))
    inner = line[line.index("│") + 1 :]
    assert plotted([inner[:16]]) > 10
    assert plotted([inner[21:33]]) == 0
    assert plotted([inner[38:]]) > 10


def test_one_spike_does_not_flatten_the_rest() -> None:
    series = Series()
    losses = falling(3000)
    losses[1500] = 800.0
    snapshot = history(losses, falling(3000))
    series.update(snapshot.steps, snapshot.losses, snapshot.loss_avgs)
    rows = draw(Picture(100, 30, 0, 3000, [Line("x", series.whole)]))
    assert "0.3" in "".join(part for part, _ in rows[1])


def test_a_missing_average_is_made_up_for() -> None:
    buckets = Buckets()
    losses = [0.2, 0.4] * 200
    buckets.add(array("q", range(1, 401)), array("d", losses), array("d", [NAN] * 400), 0, 400)
    assert buckets.sums[-1] / buckets.counts[-1] == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("log", "expected"), [(False, ["0.10", "0.20"]), (True, ["0.01", "0.10", "1.00"])])
def test_labels_are_round(log: bool, expected: list[str]) -> None:
    series = Series()
    values = [10 ** (-2 + 2.2 * n / 500) for n in range(500)] if log else [0.05 + 0.2 * n / 500 for n in range(500)]
    snapshot = history(values)
    series.update(snapshot.steps, snapshot.losses, snapshot.loss_avgs)
    rows = draw(Picture(80, 24, 0, 500, [Line("x", series.whole)], log))
    labels = [row[0][0].split()[0] for row in rows[1:-2] if row[0][0].strip("│ ")]
    assert set(expected) <= set(labels)
    assert labels == sorted(labels, key=float, reverse=True)
