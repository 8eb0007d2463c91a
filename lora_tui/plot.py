"""Draws lines as text: braille dots (2 × 4 in a cell) or ASCII, with axes, marks and a legend.

In: buckets and a window. Out: rows of (text, role), which whoever shows them gives colours. Nothing depends on colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from lora_tui.scale import LEAST, Scale, axis, edges, label
from lora_tui.series import GREATEST, Buckets

Row = tuple[tuple[str, str], ...]  # (text, role) one after the other; together as wide as the plot
Span = tuple[int, int]  # lowest and highest dot of a column, from the bottom; both may lie outside the plot

RAW, AVERAGE, AXIS, MARK, VALIDATION, TITLE = "raw", "average", "axis", "mark", "validation", "title"
LEAST_WIDTH_LABELLED = 24  # narrower plots have no labels at the side
LABEL_ROWS = 4  # a label every so many rows, about
MARKER_CELLS = 24  # between two numbers on a line of a comparison
ASCII_LINES = "*+xo#@"

_LEFT = [sum(bit for n, bit in enumerate((0x40, 0x04, 0x02, 0x01)) if dots >> n & 1) for dots in range(16)]
_RIGHT = [sum(bit for n, bit in enumerate((0x80, 0x20, 0x10, 0x08)) if dots >> n & 1) for dots in range(16)]
_BRAILLE = [chr(0x2800 + bits) for bits in range(256)]


@dataclass
class Line:
    """One run's curve. `number` (from 1) tells it apart in a comparison."""

    name: str
    buckets: Buckets
    number: int = 1
    validation: Sequence[tuple[int, float | None]] = ()
    marks: Sequence[tuple[int, str]] = ()  # (step, label) on the axis below


@dataclass
class Picture:
    """What to draw: `lines` from step `first` to `last` into `width` × `height` cells."""

    width: int
    height: int
    first: float
    last: float
    lines: Sequence[Line] = ()
    log: bool = False
    ascii: bool = False
    title: str = "loss"
    note: str = ""  # at the right of the title, e.g. which part of the run is shown
    empty: str = "no steps yet"


@dataclass
class _Columns:
    """A line by columns of dots: None where nothing was said, NaN where what was said is no number."""

    lows: list[float | None]
    highs: list[float | None]
    means: list[float | None]


def draw(picture: Picture) -> list[Row]:
    """The rows of `picture`, from the top; `height` of them, each `width` cells wide."""
    width, height = picture.width, picture.height
    if width < 1 or height < 1:
        return []
    titled, below = height >= 5, 2 if height >= 6 else 1 if height >= 4 else 0
    plot_height = height - titled - below
    compared = len(picture.lines) > 1
    # The labels' width depends on the figures that are seen, and these a little on the width; the estimate is wide.
    columns = [_columns(line.buckets, picture.first, picture.last, 2 * width) for line in picture.lines]
    low_high = _edges(columns, picture, compared)
    rows: list[Row] = []
    if low_high is None:
        body = [_plain(" " * width, AXIS) for _ in range(plot_height)]
        if picture.empty:
            body[plot_height // 2] = _plain(picture.empty[:width].center(width), AXIS)
        rows = [_title(picture, compared)] if titled else []
        return rows + body + [_plain(" " * width, AXIS)] * below
    low, high, ticks = axis(*low_high, max(2, plot_height // LABEL_ROWS + 1), picture.log)
    scale = Scale(low, high, 4 * plot_height, picture.log)
    labels = {scale.dot(tick) // 4: label(tick, ticks) for tick in ticks}
    margin = max(map(len, labels.values())) + 1 if labels and width >= LEAST_WIDTH_LABELLED else 0
    plot_width = width - margin - (1 if margin else 0)
    if margin:
        columns = [_columns(line.buckets, picture.first, picture.last, 2 * plot_width) for line in picture.lines]
    cells = _cells(picture, columns, scale, plot_width, plot_height, compared)
    upright = "|" if picture.ascii else "│"
    if titled:
        rows.append(_title(picture, compared))
    for row, line in enumerate(cells):
        side = [(f"{labels.get(plot_height - 1 - row, ''):>{margin - 1}} {upright}", AXIS)] if margin else []
        rows.append((*side, *line))
    if below:
        rows += _axis(picture, margin, plot_width)[:below]
    return rows


def _columns(buckets: Buckets, first: float, last: float, dots: int) -> _Columns:
    lows: list[float | None] = [None] * dots
    highs: list[float | None] = [None] * dots
    sums, counts = [0.0] * dots, [0] * dots
    width, origin = buckets.width, buckets.origin
    scale = (dots - 1) / max(last - first, 1e-9)
    begin = max(0, math.floor((first - origin) / width) - 1)
    end = min(len(buckets), math.ceil((last - origin) / width) + 1)
    middle = origin + (width - 1) / 2 - first
    for k in range(begin, end):
        if not buckets.steps[k]:
            continue
        x = round((middle + k * width) * scale)
        if not 0 <= x < dots:
            if k != end - 1 or x < 0:
                continue
            x = dots - 1  # the last, half-filled bucket
        low, high = buckets.lows[k], buckets.highs[k]
        known = lows[x]
        if low > high:  # no number among its steps
            if known is None:
                lows[x] = highs[x] = math.nan
        elif known is None or known != known:
            lows[x], highs[x] = low, high
        else:
            lows[x], highs[x] = min(low, known), max(high, highs[x] or high)
        sums[x] += buckets.sums[k]
        counts[x] += buckets.counts[k]
    means = [sums[x] / counts[x] if counts[x] else None if lows[x] is None else math.nan for x in range(dots)]  # type: list[float | None]
    return _Columns(lows, highs, means)


def _edges(columns: Sequence[_Columns], picture: Picture, compared: bool) -> tuple[float, float] | None:
    """Least and greatest figure to be seen; None where there is none."""
    raw = [] if compared else columns  # a comparison draws averages only
    inside = [value for column in columns for value in column.means if value is not None]
    for line in picture.lines:
        inside += [v for step, v in line.validation if v is not None and picture.first <= step <= picture.last]
    lows = [value for column in raw for value in column.lows if value is not None]
    highs = [value for column in raw for value in column.highs if value is not None]
    return edges(lows, highs, inside, picture.log)


def _spans(lows: Sequence[float | None], highs: Sequence[float | None], scale: Scale) -> list[Span | None]:
    """Dots of each column, joined to a line: with the column before, and across columns of which nothing was said.

    What is no number, and on a log scale what is not above zero, breaks the line.
    """
    spans: list[Span | None] = [None] * len(lows)
    before: tuple[int, int, int] | None = None  # column and span as they are, without what joins them
    for x, low in enumerate(lows):
        high = highs[x]
        if low is None or high is None:
            continue
        if low != low or (scale.log and high < LEAST):
            before = None
            continue
        bottom, top = scale.dot(low), scale.dot(high)
        joined = bottom, top
        if before is not None:
            column, lowest, highest = before
            if x - column > 1:
                start, end = (lowest + highest) / 2, (bottom + top) / 2
                previous = round(start)
                for between in range(column + 1, x):
                    y = round(start + (end - start) * (between - column) / (x - column))
                    spans[between] = (min(y, previous + 1), y) if y >= previous else (y, max(y, previous - 1))
                    previous = y
                lowest = highest = previous
            if bottom > highest:
                joined = min(bottom, highest + 1), top
            elif top < lowest:
                joined = bottom, max(top, lowest - 1)
        spans[x] = joined
        before = x, bottom, top
    return spans


def _masks(spans: Sequence[Span | None], dots: int) -> list[int]:
    """A number for each column, whose bit n is dot n from the bottom."""
    masks = []
    for span in spans:
        low, high = (max(0, span[0]), min(dots - 1, span[1])) if span is not None else (1, 0)
        masks.append((1 << high + 1) - (1 << low) if low <= high else 0)
    return masks


def _cells(
    picture: Picture, columns: Sequence[_Columns], scale: Scale, width: int, height: int, compared: bool
) -> list[Row]:
    layers: list[tuple[list[int], str, str]] = []  # masks, role, ASCII character; the upper ones first
    over: list[dict[int, tuple[str, str]]] = [{} for _ in range(height)]  # by row and column: what lies over all lines
    for line, column in zip(picture.lines, columns, strict=True):
        means = _spans(column.means, column.means, scale)
        role = f"run-{(line.number - 1) % len(ASCII_LINES) + 1}" if compared else AVERAGE
        masks = _masks(means, scale.dots)
        if not compared and not picture.ascii:
            masks = [mask | mask << 1 for mask in masks]  # bold: two dots thick
        layers.append((masks, role, ASCII_LINES[(line.number - 1) % len(ASCII_LINES)]))
        if compared:
            _mark_line(line, means, over, role, width, height)
        else:
            layers.append((_masks(_spans(column.lows, column.highs, scale), scale.dots), RAW, "."))
        for step, value in line.validation:
            x = round((step - picture.first) / max(picture.last - picture.first, 1e-9) * (width - 1))
            if value is None or not abs(value) < GREATEST or not 0 <= x < width:
                continue
            dot = scale.dot(value)
            if 0 <= dot < scale.dots:
                over[height - 1 - dot // 4][x] = "o" if picture.ascii else "◆", VALIDATION
    rows = []
    for row in range(height):
        shift = 4 * (height - 1 - row)
        texts: list[tuple[str, str]] = []
        text, role = "", AXIS
        here = over[row]
        for cell in range(width):
            char, kind = " ", role
            if cell in here:
                char, kind = here[cell]
            else:
                for masks, layer_role, character in layers:
                    left, right = masks[2 * cell] >> shift & 15, masks[2 * cell + 1] >> shift & 15
                    if left or right:
                        char = character if picture.ascii else _BRAILLE[_LEFT[left] | _RIGHT[right]]
                        kind = layer_role
                        break
            if kind != role:
                if text:
                    texts.append((text, role))
                text, role = "", kind
            text += char
        texts.append((text, role))
        rows.append(tuple(texts))
    return rows


def _mark_line(
    line: Line,
    spans: Sequence[Span | None],
    over: list[dict[int, tuple[str, str]]],
    role: str,
    width: int,
    height: int,
) -> None:
    """The line's number at its end and here and there on it, so that lines are not told apart by colour alone."""
    drawn = [x // 2 for x, span in enumerate(spans) if span is not None and 0 <= span[1] < 4 * height]
    if not drawn:
        return
    at = {cell for cell in drawn if cell % MARKER_CELLS == (7 * line.number) % MARKER_CELLS} | {drawn[-1]}
    for cell in at:
        span = spans[2 * cell] or spans[2 * cell + 1]
        if span is not None and cell < width and 0 <= span[1] < 4 * height:
            over[height - 1 - span[1] // 4][cell] = str(line.number), role


def _title(picture: Picture, compared: bool) -> Row:
    """`loss   · raw  ━ average          whole run`; in a comparison the runs with their numbers."""
    parts: list[tuple[str, str]] = [(picture.title, TITLE)]
    if compared:
        for line in picture.lines:
            parts.append((f"  {line.number} {line.name}", f"run-{(line.number - 1) % len(ASCII_LINES) + 1}"))
    elif picture.lines:
        parts.append(("  . raw" if picture.ascii else "  · raw", RAW))
        parts.append(("  * average" if picture.ascii else "  ━ average", AVERAGE))
        if picture.lines[0].validation:
            parts.append(("  o validation" if picture.ascii else "  ◆ validation", VALIDATION))
    if picture.log:
        parts.append(("  log scale", AXIS))
    room = picture.width
    shown: list[tuple[str, str]] = []
    for text, role in parts:
        text = text if cell_len(text) <= room else set_cell_size(text, room)  # names may have wide letters
        if text:
            shown.append((text, role))
        room -= cell_len(text)
    note = picture.note if len(picture.note) + 2 <= room else ""
    shown.append((note.rjust(room), AXIS))
    return tuple(shown)


def _axis(picture: Picture, margin: int, width: int) -> list[Row]:
    """The line below with a mark for each saved epoch, and the row of steps and names under it."""
    flat, corner, tee = ("-", "+", "+") if picture.ascii else ("─", "└", "┬")
    line, under = [flat] * width, [" "] * width
    first, last = f"{picture.first:,.0f}", f"{picture.last:,.0f}"
    free = [len(first) + 1, width - len(last) - 2] if width >= len(first) + len(last) + 2 else [width, -1]
    if free[1] >= 0:
        under[: len(first)] = first
        under[width - len(last) :] = last
    for step, name in picture.lines[0].marks if len(picture.lines) == 1 else ():  # those of several would be a muddle
        x = round((step - picture.first) / max(picture.last - picture.first, 1e-9) * (width - 1))
        if not 0 <= x < width:
            continue
        line[x] = tee
        start = x - len(name) // 2
        if free[0] <= start and start + len(name) - 1 <= free[1]:
            under[start : start + len(name)] = name
            free[0] = start + len(name) + 1
    side = " " * margin
    axis = f"{side}{corner if margin else ''}{''.join(line)}"
    return [_plain(axis, AXIS), _plain(side + (" " if margin else "") + "".join(under), MARK)]


def _plain(text: str, role: str) -> Row:
    return ((text, role),)
