"""What the wizard explains, in two or three sentences each, where no option of the training is meant."""

from __future__ import annotations

import textwrap

from rich.text import Text

from engine.plan.errors import inert
from lora_tui.explanations import ABOUT
from lora_tui.widgets.paint import DIM, PLAIN, WARN, line


def about(key: str, width: int, warning: str = "") -> list[Text]:
    """The explanation of a row, wrapped to `width` cells; behind it what is wrong with it now."""
    rows = [line((f" {part}", PLAIN)) for part in textwrap.wrap(ABOUT.get(key, ""), max(30, width - 2))]
    if warning and key in ("trigger", "class"):
        rows += [line((f" {part}", WARN)) for part in textwrap.wrap(inert(warning), max(30, width - 2))]
    return rows


def paragraph(text: str, width: int) -> list[Text]:
    """A text of ours in lines, dim."""
    return [line((f" {part}", DIM)) for part in textwrap.wrap(text, max(30, width - 2))]
