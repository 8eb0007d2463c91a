"""The few colours and signs everything is painted with, and their stand-ins where there are no such signs.

Lines are painted in the dark theme's colours; `widgets.colours` shows them in another's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from lora_tui.letters import in_ascii
from lora_tui.widgets.colours import DARK

BACKGROUND, RAISED = DARK.ground, DARK.raised
PLAIN = Style(color=DARK.words)
STRONG = Style(color=DARK.strong, bold=True)
DIM = Style(color=DARK.dim)
FAINT = Style(color=DARK.faint)
ACCENT = Style(color=DARK.accent)
GOOD = Style(color=DARK.good)
WARN = Style(color=DARK.warn)
BAD = Style(color=DARK.bad, bold=True)

MARKS = {"ok": GOOD, "!": WARN, "x": BAD}  # every sentence of the status line begins with one of these

_STEPS = "▁▂▃▄▅▆▇█"

Part = str | tuple[str, Style]


def line(*parts: Part) -> Text:
    """One line from pieces of text, each plain or with a style. Never reads markup."""
    text = Text(no_wrap=True, end="")
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        else:
            text.append(part[0], part[1])
    return text


def text_in_ascii(text: Text) -> Text:
    """The same for a styled text; the styles stay where they are."""
    if text.plain.isascii():
        return text
    spelt = Text(no_wrap=True, end="")
    for piece in text.divide(sorted({edge for span in text.spans for edge in (span.start, span.end)})):
        style = piece.spans[-1].style if piece.spans else ""
        spelt.append(in_ascii(piece.plain), style)
    return spelt


def bar(done: float, total: float, width: int, style: Style = ACCENT) -> list[Part]:
    """A bar of `width` cells, filled by done / total."""
    full = round(width * min(1.0, max(0.0, done / total))) if total > 0 else 0
    return [("━" * full, style), ("─" * (width - full), FAINT)]


def sparkline(history: Sequence[float], width: int) -> str:
    """The history, the newest at the right, as at most `width` small columns; what is no number is left out.

    Empty where there is nothing to see: fewer than two different values. Costs the same for any length.
    """
    if len(history) < 2 or width < 2:
        return ""
    taken = min(width, len(history))
    picked = (history[index * (len(history) - 1) // (taken - 1)] for index in range(taken))
    values = [value for value in picked if math.isfinite(value)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= low:
        return ""
    return "".join(_STEPS[round((value - low) / (high - low) * (len(_STEPS) - 1))] for value in values)
