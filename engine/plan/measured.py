"""What pictures were found to be, kept from one command to the next, so that thousands are read only once."""

from __future__ import annotations

from typing import Any

from engine.plan.errors import inert
from engine.plan.known_files import read_table, write_table
from engine.plan.pictures import Measures, Size
from engine.plan.project import Project

NAME, WHAT = "pictures.json", "pictures"
VERSION = 2  # change it when `pictures.measure` finds something else in the same file
WORTH_KEEPING = 200
"""Fewer new pictures are read in a moment; then nothing is written."""

_FIELDS = {"width": int, "height": int, "problem": str, "alpha": bool, "animated": bool, "turned": bool}


def kept_measures(project: Project) -> Measures:
    """Measures that know what `keep_measures` wrote; empty where that is not there or makes no sense."""
    return Measures(read_table(project, NAME, WHAT, VERSION, _size))


def keep_measures(project: Project, measures: Measures) -> None:
    """Write what `measures` has found, where it is much that is new. A disk that cannot be written is no error."""
    if measures.read < WORTH_KEEPING:
        return
    rows = ((path, stamp, [getattr(size, name) for name in _FIELDS]) for path, (stamp, size) in measures.known.items())
    if write_table(project, NAME, WHAT, VERSION, rows):
        measures.read = 0


def _size(row: list[Any]) -> Size:
    """Raises TypeError or ValueError for what `keep_measures` did not write."""
    values = dict(zip(_FIELDS, row, strict=True))
    if any(type(values[name]) is not kind for name, kind in _FIELDS.items()):
        raise TypeError
    return Size(**{**values, "problem": inert(values["problem"])})
