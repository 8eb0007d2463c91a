"""What trainings on this machine's GPUs were predicted to need and did need, by which later predictions are corrected.

One small file in the user's state folder. A convenience: whatever is wrong with it counts as nothing seen.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import atomic_write
from engine.plan.memory import CORRECTIONS
from engine.runs.places import state_dir

NAME, VERSION = "memory_seen.json", 2
"""In version 1 predictions that samples were part of stood beside peaks that they were no part of."""
KEPT = 20
"""Peaks of one kind of GPU: the newest count, as drivers and PyTorch change."""

Seen = dict[str, list[tuple[int, int]]]
"""By the GPU's name: (predicted, measured) peaks in bytes, the oldest first."""


def path() -> Path:
    return state_dir() / NAME


def seen() -> Seen:
    """Everything that is known; empty where there is nothing, or nothing that can be read."""
    try:
        table = json.loads(path().read_bytes())
        if table["v"] != VERSION:
            return {}
        return {str(name): [pair for row in rows if (pair := _pair(row))] for name, rows in table["gpus"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def remember(gpu_name: str, predicted: int, measured: int) -> bool:
    """Keep one training's peaks, in bytes, above 0 and of the same part of the work. False where they make no sense or
    the disk takes nothing."""
    pair = _pair([predicted, measured])
    if pair is None:
        return False
    table = seen()
    table[gpu_name] = [*table.get(gpu_name, []), pair][-KEPT:]
    text = json.dumps({"v": VERSION, "gpus": table}, indent=1)
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path(), text)
    except (OSError, UserError):
        return False
    return True


def correction(gpu_name: str) -> float:
    """By what predictions for this kind of GPU are to be multiplied: the median of measured over predicted peaks, not
    further from 1 than CORRECTIONS; 1.0 where nothing was measured."""
    pairs = seen().get(gpu_name)
    if not pairs:
        return 1.0
    ratio = statistics.median(measured / predicted for predicted, measured in pairs)
    return min(max(ratio, CORRECTIONS[0]), CORRECTIONS[1])


def _pair(row: object) -> tuple[int, int] | None:
    """None for what cannot be two peaks: each is a whole number of bytes, below ten thousand GB."""
    if not isinstance(row, list) or len(row) != 2:
        return None
    predicted, measured = row
    if type(predicted) is not int or type(measured) is not int:
        return None
    return (predicted, measured) if all(0 < peak < 10**13 for peak in (predicted, measured)) else None
