"""Captions as a captioner says them, the newest first."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text

from engine.plan.errors import inert
from engine.runs.captions import Done
from lora_tui.folder_contents import fitted
from lora_tui.widgets.paint import DIM, GOOD, PLAIN, WARN, line

NAME_CELLS = 18


def caption_rows(captions: Sequence[Done], room: int, width: int) -> list[Text]:
    """At most `room` rows of `width` cells, with each picture's name and what was said or why it gets none."""
    rows: list[Text] = []
    for done in reversed(captions[-4 * room :]):
        if done.state not in ("said", "skipped") or len(rows) >= room:
            continue
        mark, style = ("✓", GOOD) if done.state == "said" else ("!", WARN)
        name = fitted(done.path.rpartition("/")[2], NAME_CELLS)
        for number, part in enumerate(textwrap.wrap(inert(done.text), width - NAME_CELLS - 6) or [""]):
            begin = ((f" {mark} ", style), (f"{name}  ", DIM)) if number == 0 else (" " * (NAME_CELLS + 5),)
            rows.append(line(*begin, (part, PLAIN)))
    return rows[:room]
