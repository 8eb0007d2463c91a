"""What pictures were found to be, kept from one command to the next, so that thousands are read only once.

`cache/pictures.json` in the project may be deleted at any time. A file that has kept its size and its times, also the
time of change, which nobody can set, is not read again (`pictures.Measures`).
"""

from __future__ import annotations

import json
import time
from typing import Any

from engine.plan.errors import UserError, inert
from engine.plan.files import Stamp, atomic_write
from engine.plan.pictures import Measures, Size
from engine.plan.project import Project

NAME = "pictures.json"
VERSION = 2  # change it when `pictures.measure` finds something else in the same file
WORTH_KEEPING = 200
"""Fewer new pictures are read in a moment; then nothing is written."""
SETTLED_SECONDS = 2.0
"""A file that was changed a moment ago may change again within one tick of the disk's clock."""

_FIELDS = {"width": int, "height": int, "problem": str, "alpha": bool, "animated": bool, "turned": bool}


def kept_measures(project: Project) -> Measures:
    """Measures that know what `keep_measures` wrote; empty where that is not there or makes no sense."""
    try:
        table = json.loads((project.cache_dir / NAME).read_bytes())
        if table["v"] != VERSION:
            return Measures()
        return Measures({project.path / name: _entry(row) for name, row in table["pictures"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Measures()


def keep_measures(project: Project, measures: Measures) -> None:
    """Write what `measures` has found, where it is much that is new. A disk that cannot be written is no error."""
    if measures.read < WORTH_KEEPING:
        return
    now = time.time_ns()
    rows = {
        project.relative(path): [*stamp, *(getattr(size, name) for name in _FIELDS)]
        for path, (stamp, size) in measures.known.items()
        if now - max(stamp[1:]) > SETTLED_SECONDS * 1e9
    }
    try:
        project.cache_dir.mkdir(parents=True, exist_ok=True)
        atomic_write(project.cache_dir / NAME, json.dumps({"v": VERSION, "pictures": rows}, separators=(",", ":")))
    except (OSError, UserError):
        return
    measures.read = 0


def _entry(row: list[Any]) -> tuple[Stamp, Size]:
    """Raises TypeError or ValueError for what `keep_measures` did not write."""
    size, modified, changed, *rest = row
    if not all(type(value) is int for value in (size, modified, changed)):
        raise TypeError
    values = dict(zip(_FIELDS, rest, strict=True))
    if any(type(values[name]) is not kind for name, kind in _FIELDS.items()):
        raise TypeError
    return (size, modified, changed), Size(**{**values, "problem": inert(values["problem"])})
