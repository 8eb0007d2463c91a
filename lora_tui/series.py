"""What a chart shows of a history of any length: buckets of steps with their extremes and means, and the window that is
looked at. Plain numbers; nothing of a screen is known here.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

CAPACITY = 2048  # buckets; about five for each dot across a wide terminal
GREATEST = 1e100  # beyond it a figure is as good as infinite, and differences of two would overflow
AVERAGED = 100  # steps in the events' own `loss_avg`; a mean of our own weighs about as many
SMALLEST_SPAN = 10  # steps: closer than that there is nothing to see
PARTS = 16  # a window that follows the newest step moves by such a part of its width, so that most ticks change little

INF = math.inf


class Buckets:
    """Figures by step: bucket k holds the steps from `origin + k·width` on, `width` of them, a power of two.

    Of the raw figures it keeps the least and the greatest, of the smoothed ones the mean. What is no number is left
    out; a bucket that had steps and no number is a gap. With `folds`, buckets are folded in pairs when there would be
    more than `capacity`, so memory stays the same for a run of any length.
    """

    def __init__(self, origin: int = 0, width: int = 1, capacity: int = CAPACITY, folds: bool = True) -> None:
        self.origin, self.width, self.capacity, self.folds = origin, width, capacity, folds
        self.lows: array[float] = array("d")
        self.highs: array[float] = array("d")
        self.sums: array[float] = array("d")  # of smoothed figures
        self.counts: array[int] = array("q")  # how many those are
        self.steps: array[int] = array("q")  # how many steps there were, with a number or not
        self._own = math.nan  # our own mean, for figures that come without one

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, steps: Sequence[int], raw: Sequence[float], smooth: Sequence[float], first: int, last: int) -> None:
        """Take in the points `first` to before `last` of three sequences side by side; `steps` rises.

        Whole buckets at once: 100,000 points take some 20 ms, a single one a few µs.
        """
        while first < last:
            bucket = (steps[first] - self.origin) // self.width
            while bucket >= self.capacity and self.folds:
                self._fold()
                bucket = (steps[first] - self.origin) // self.width
            end = bisect_left(steps, self.origin + (bucket + 1) * self.width, first, min(last, first + self.width))
            self._put(bucket, raw[first:end], smooth[first:end])
            first = end

    def _put(self, bucket: int, raw: Sequence[float], smooth: Sequence[float]) -> None:
        if not 0 <= bucket < self.capacity:
            return
        while len(self.steps) <= bucket:
            self.lows.append(INF)
            self.highs.append(-INF)
            self.sums.append(0.0)
            self.counts.append(0)
            self.steps.append(0)
        self.steps[bucket] += len(raw)
        total = sum(smooth)
        if not abs(total) < GREATEST:  # also for NaN
            smooth = [value for value in map(self._smoothed, raw, smooth) if abs(value) < GREATEST]
            total = sum(smooth)
        self.sums[bucket] += total
        self.counts[bucket] += len(smooth)
        if not abs(sum(raw)) < GREATEST:
            raw = [value for value in raw if abs(value) < GREATEST]
        if raw:
            low, high = min(raw), max(raw)
            self.lows[bucket] = min(self.lows[bucket], low)
            self.highs[bucket] = max(self.highs[bucket], high)

    def _smoothed(self, raw: float, smooth: float) -> float:
        """The mean that came with a figure, or one of our own: an exponential one."""
        if abs(smooth) < GREATEST:
            return smooth
        if not abs(raw) < GREATEST:
            return math.nan
        self._own = raw if math.isnan(self._own) else self._own + (raw - self._own) * 2 / (AVERAGED + 1)
        return self._own

    def _fold(self) -> None:
        self.width *= 2
        odd = len(self.steps) % 2
        for values, empty in ((self.lows, INF), (self.highs, -INF), (self.sums, 0.0)):
            values.extend([empty] * odd)
        for numbers in (self.counts, self.steps):
            numbers.extend([0] * odd)
        self.lows = array("d", map(min, self.lows[::2], self.lows[1::2]))
        self.highs = array("d", map(max, self.highs[::2], self.highs[1::2]))
        self.sums = array("d", map(float.__add__, self.sums[::2], self.sums[1::2]))
        self.counts = array("q", map(int.__add__, self.counts[::2], self.counts[1::2]))
        self.steps = array("q", map(int.__add__, self.steps[::2], self.steps[1::2]))


class Series:
    """One history for a chart: the whole of it folded, and a window of it at its own resolution.

    `update` takes in what is new; the same history that got shorter or was written anew is taken in from its beginning.
    """

    def __init__(self) -> None:
        self.whole = Buckets()
        self._part: Buckets | None = None
        self._part_from = 0  # index of the first point that is not in `_part`
        self._steps: Sequence[int] = ()
        self._raw: Sequence[float] = ()
        self._smooth: Sequence[float] = ()
        self._taken = 0
        self._version: object = None

    def update(
        self, steps: Sequence[int], raw: Sequence[float], smooth: Sequence[float], version: object = None
    ) -> bool:
        """Look at the history again; True if there was something new.

        `version`: anything that differs once points were taken back (and others may have come since).
        """
        fresh = version != self._version or steps is not self._steps or len(steps) < self._taken
        if fresh:
            self.whole, self._part, self._taken = Buckets(), None, 0
            self._version, self._steps, self._raw, self._smooth = version, steps, raw, smooth
        count = min(len(steps), len(raw), len(smooth))
        if count == self._taken:
            return fresh
        self.whole.add(steps, raw, smooth, self._taken, count)
        if self._part is not None:
            self._part.add(steps, raw, smooth, self._part_from, count)
            self._part_from = count
        self._taken = count
        return True

    @property
    def newest(self) -> int:
        """The last step; 0 before the first."""
        return self._steps[self._taken - 1] if self._taken else 0

    def buckets(self, first: float, last: float, dots: int) -> Buckets:
        """Buckets that resolve the window from `first` to `last` into `dots` columns, no coarser than can be seen.

        They are made anew when the window moves out of them or is zoomed, and else kept and added to.
        """
        width = 1 << max(0, math.floor(math.log2(max(1.0, (last - first) / max(1, dots)))))
        if self.whole.width <= width:
            return self.whole
        part = self._part
        if part is None or part.width != width or not part.origin <= first or last > part.origin + width * CAPACITY:
            origin = math.floor(first) // width * width
            part = self._part = Buckets(origin, width, folds=False)
            self._part_from = self._taken
            begin, end = (bisect_left(self._steps, at, 0, self._taken) for at in (origin, origin + width * CAPACITY))
            part.add(self._steps, self._raw, self._smooth, begin, end)
        return part


@dataclass
class Window:
    """Which steps are looked at. `span` None: the whole run; else so many steps, up to `end` or (None) to the newest.

    It remembers that it was zoomed, and follows the newest step unless it was moved away from it.
    """

    span: float | None = None
    end: float | None = None

    def whole(self) -> None:
        self.span = self.end = None

    def last(self, count: int, newest: int) -> None:
        """The last `count` steps; the whole run where it has no more."""
        self.span, self.end = (float(max(SMALLEST_SPAN, count)), None) if count < newest else (None, None)

    def zoom(self, factor: float, newest: int) -> None:
        """Show 1/`factor` as many steps: around the middle, or up to the newest one while that is followed."""
        span = max(SMALLEST_SPAN, (newest if self.span is None else self.span) / factor)
        if span >= newest:
            self.whole()
            return
        if self.end is not None and self.span is not None:
            self._place(self.end - self.span / 2 + span / 2, span, newest)
        else:
            self.span = span

    def pan(self, fraction: float, newest: int) -> None:
        """Move by a part of what is shown; negative is towards the beginning. The whole run cannot be moved."""
        if self.span is not None:
            self._place((newest if self.end is None else self.end) + fraction * self.span, self.span, newest)

    def _place(self, end: float, span: float, newest: int) -> None:
        self.span, self.end = span, (None if end >= newest else max(span, end))

    def bounds(self, newest: int, over: bool = False) -> tuple[float, float]:
        """(first, last) step at the edges. While a run goes on there is a little room at the right, so that the picture
        does not move at every step; `over`: nothing more will come.
        """
        span = self.span
        if span is None:
            return 0.0, float(max(1, newest if over else _ahead(newest, newest)))
        end = self.end
        if end is None:
            end = float(newest if over else _ahead(newest, span))
        return max(0.0, end - span), max(end, 1.0)

    @property
    def text(self) -> str:
        """What is shown, in words."""
        if self.span is None:
            return "whole run"
        if self.end is None:
            return f"last {self.span:,.0f} steps"
        return f"steps {self.end - self.span:,.0f} to {self.end:,.0f}"


def _ahead(newest: int, span: float) -> int:
    """`newest` rounded up to a multiple of a sixteenth of `span` or less (a power of two)."""
    unit = 1 << max(0, math.floor(math.log2(max(1.0, span / PARTS))))
    return -(-max(1, newest) // unit) * unit
