"""What was found out about a project's files, kept in its `cache/` from one command to the next.

A table may be deleted at any time. What it says of a file holds as long as that file has kept its size and its times,
also the time of change, which nobody can set.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from engine.plan.errors import UserError
from engine.plan.files import Stamp, atomic_write
from engine.plan.project import Project

SETTLED_SECONDS = 2.0
"""A file that was changed a moment ago may change again within one tick of the disk's clock."""

_Fact = TypeVar("_Fact")


def read_table(
    project: Project, name: str, what: str, version: int, fact: Callable[[list[Any]], _Fact]
) -> dict[Path, tuple[Stamp, _Fact]]:
    """What `write_table` wrote into `cache/name` under the key `what`; empty where that is not there, of another
    version, or makes no sense. `fact` makes of a row what it says; it raises TypeError or ValueError where it cannot.
    """
    try:
        table = json.loads((project.cache_dir / name).read_bytes())
        if table["v"] != version:
            return {}
        return {project.path / path: _entry(row, fact) for path, row in table[what].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def write_table(
    project: Project, name: str, what: str, version: int, facts: Iterable[tuple[Path, Stamp, Iterable[object]]]
) -> bool:
    """Keep (file, its stamp, row) of the files that have settled; False where the disk does not take it."""
    now = time.time_ns()
    rows = {
        project.relative(path): [*stamp, *row]
        for path, stamp, row in facts
        if now - max(stamp[1:]) > SETTLED_SECONDS * 1e9 and path.is_relative_to(project.path)
    }
    try:
        project.cache_dir.mkdir(parents=True, exist_ok=True)
        atomic_write(project.cache_dir / name, json.dumps({"v": version, what: rows}, separators=(",", ":")))
    except (OSError, UserError):
        return False
    return True


def _entry(row: list[Any], fact: Callable[[list[Any]], _Fact]) -> tuple[Stamp, _Fact]:
    size, modified, changed, *rest = row
    if not all(type(value) is int for value in (size, modified, changed)):
        raise TypeError
    return (size, modified, changed), fact(rest)
