"""The upright axis of a chart: which figures it spans, where a figure lies on it, and which round ones are named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lora_tui.series import GREATEST

OUTLIERS = 0.02  # of the columns may reach beyond the top: one spike must not flatten all the rest
LEAST = 1 / GREATEST  # on a log scale, what is smaller counts as zero, which has no place there
ENOUGH_COLUMNS = 50  # for there to be outliers


@dataclass(frozen=True)
class Scale:
    """Figures to dots: `low` is the lowest one of `dots`, `high` the highest."""

    low: float
    high: float
    dots: int
    log: bool

    def dot(self, value: float) -> int:
        """The dot of a figure; what lies outside comes out just outside."""
        if self.log:
            if value < LEAST:
                return -1
            bottom = math.log10(self.low)
            part = (math.log10(value) - bottom) / (math.log10(self.high) - bottom)
        else:
            part = (value - self.low) / (self.high - self.low)
        return max(-1, min(self.dots, round(part * (self.dots - 1))))


def edges(
    lows: Iterable[float], highs: Iterable[float], inside: Iterable[float], log: bool
) -> tuple[float, float] | None:
    """The least and the greatest figure that an axis has to span; None where there is no number at all.

    `lows` and `highs`: of the columns of a noisy curve, of which a few may reach beyond the top. `inside`: figures that
    have to be seen in any case. What is no number, and on a log scale what is not above zero, does not count.
    """

    def numbers(values: Iterable[float]) -> list[float]:
        return [value for value in values if (LEAST if log else -GREATEST) <= value < GREATEST]

    tops = sorted(numbers(highs))
    if len(tops) >= ENOUGH_COLUMNS:
        del tops[len(tops) - int(len(tops) * OUTLIERS) :]
    seen = [*numbers(lows), *(tops[:1] if log else ()), *tops[-1:], *numbers(inside)]
    if not seen:
        return None
    low, high = min(seen), max(seen)
    if log:  # on eighths of a decade, so that they seldom move
        low, high = (10 ** (turn(math.log10(value) * 8) / 8) for value, turn in ((low, math.floor), (high, math.ceil)))
        return low, high if high > low else low * 1.34
    largest = max(abs(high), abs(low))
    if not high - low > max(largest * 1e-9, LEAST):
        room = largest / 10 if largest > LEAST else 0.5
        low, high = low - room, high + room
    return low, high


def axis(low: float, high: float, count: int, log: bool) -> tuple[float, float, list[float]]:
    """An axis for figures from `low` to `high`: its ends, and about `count` round figures to name on it.

    The ends lie on quarters of the distance between two of these, so that they seldom move.
    """
    ticks = _round_figures(low, high, count, log)
    if log:
        return low, high, ticks
    quarter = (ticks[1] - ticks[0]) / 4
    bottom = min(low, max(ticks[0], ticks[0] + math.floor((low - ticks[0]) / quarter) * quarter))
    top = max(high, min(ticks[-1], ticks[-1] - math.floor((ticks[-1] - high) / quarter) * quarter))
    inside = [tick for tick in ticks if bottom <= tick <= top]
    if len(inside) > 1:
        return bottom, top, inside
    return min(low, ticks[0]), max(high, ticks[-1]), ticks


def _round_figures(low: float, high: float, count: int, log: bool) -> list[float]:
    """Round figures between `low` and `high`, and on a linear scale at or beyond both: about `count` of them."""
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for mantissas in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
            found = [m * 10.0**d for d in decades for m in mantissas if low <= m * 10.0**d <= high]
            if len(found) >= min(3, count):
                return found[:: -(-len(found) // max(2, 2 * count))]
    step = _round_up((high - low) / max(1, count - 1))
    first = math.floor(low / step)
    found = [round((first + n) * step, 12) if step > 1e-10 else (first + n) * step for n in range(count + 3)]
    if log:
        return [tick for tick in found if low <= tick <= high] or [low, high]
    last = next((n for n, tick in enumerate(found) if tick >= high - step * 1e-9), len(found) - 1)
    return found[: last + 1]


def _round_up(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10, 20) if m * power >= step * (1 - 1e-9))


def label(value: float, ticks: Sequence[float]) -> str:
    """A label, with as many places as tell it from its neighbours."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    gap = min((abs(a - b) for a, b in pairwise(ticks)), default=abs(value) / 10)
    places = max(0, min(6, 1 - math.floor(math.log10(gap)))) if gap > 0 else 3
    text = f"{value:.{places}f}"
    return text[:-1] if places > 1 and all(f"{tick:.{places}f}".endswith("0") for tick in ticks) else text
