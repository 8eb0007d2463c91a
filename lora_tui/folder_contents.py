"""What is in a folder, for people who look for one: read once, bounded, and told in a sentence where it cannot be read.

All of it reads a disk and belongs in a thread (`aside`). Nothing here ever raises or changes anything.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from engine.plan.byte_counts import size
from engine.plan.errors import UserError, inert
from engine.plan.files import absolute_path
from engine.plan.pictures import EXTENSIONS

MOST_ENTRIES = 5_000  # shown of one folder
MOST_READ = 200_000  # and looked at to choose them from
MOST_COUNTED = 20_000  # names looked at to say what is in a folder of the list
MOST_TAIL = 400  # characters of a path
LOOK_SECONDS = 0.2  # at a few entries, before what was found is shown
_NUMBERS = re.compile("([0-9]+)")


@dataclass(frozen=True)
class Entry:
    """A name in a folder."""

    name: str
    folder: bool


@dataclass(frozen=True)
class Contents:
    """One folder. entries: folders first, each kind in alphabetical order. trouble: why there are none, or "".

    more: entries that are not among them; a number, or one beyond which nobody counted where `uncounted`.
    """

    folder: Path
    entries: tuple[Entry, ...] = ()
    folders: int = 0
    pictures: int = 0
    more: int = 0
    uncounted: bool = False
    trouble: str = ""

    @property
    def counted(self) -> str:
        """`3 folders, 30 pictures`; "" where nobody could look."""
        if self.trouble:
            return ""
        kinds = [_counted(self.folders, "folder"), _counted(self.pictures, "picture")]
        return ", ".join(kind for kind in kinds if kind) or ("" if self.entries else "empty")

    @property
    def not_shown(self) -> str:
        """`5,000 more are not shown`"""
        return f"{'at least ' if self.uncounted else ''}{self.more:,} more are not shown"


def read(folder: Path, hidden: bool = False) -> Contents:
    """The folder's entries, with hidden ones if asked for."""
    folders: list[str] = []
    files: list[str] = []
    pictures, uncounted = 0, False
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(folders) + len(files) >= MOST_READ:
                    uncounted = True
                    break
                if entry.name.startswith(".") and not hidden:
                    continue
                if _is_folder(entry):
                    folders.append(entry.name)
                else:
                    files.append(entry.name)
                    pictures += is_picture(entry.name)
    except (OSError, ValueError) as error:
        return Contents(folder, trouble=trouble(folder, error))
    shown = [Entry(name, True) for name in _sorted(folders)[:MOST_ENTRIES]]
    shown += [Entry(name, False) for name in _sorted(files)[: MOST_ENTRIES - len(shown)]]
    more = len(folders) + len(files) - len(shown)
    return Contents(folder, tuple(shown), len(folders), pictures, more, uncounted)


def go_to(path: Path, hidden: bool = False) -> tuple[Contents, str]:
    """Where a path leads: (its folder, the name in it to stand on), or contents with `trouble`.

    The path of a file leads to the folder that it is in.
    """
    try:
        whole = absolute_path(path)
        if not whole.is_dir():
            os.stat(whole)
            return read(whole.parent, hidden), whole.name
    except UserError as error:
        return Contents(path, trouble=str(error)), ""
    except (OSError, ValueError, RuntimeError) as error:
        return Contents(path, trouble=trouble(path, error)), ""
    return read(whole, hidden), ""


def nearest(path: Path) -> tuple[Contents, str, str]:
    """As `go_to`, but where that cannot be read, the first folder above it that can, and why (third)."""
    found, name = go_to(path)
    why = found.trouble
    while found.trouble and path.parent != path:
        path = path.parent
        found, name = go_to(path)
    return found, name, why


def look(folder: Path, entries: Sequence[Entry]) -> dict[str, str]:
    """Name → what it is (`30 pictures`, `6.9 GB`), for as many of the entries as there is time for, at least one."""
    until = time.monotonic() + LOOK_SECONDS
    found: dict[str, str] = {}
    for entry in entries:
        path = os.path.join(folder, entry.name)
        found[entry.name] = _inside(path) if entry.folder else _size(path)
        if time.monotonic() > until:
            break
    return found


def missing(path: Path) -> str:
    """Why this file or folder cannot be taken (any more); "" where it can."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            with os.scandir(path):
                pass
    except (OSError, ValueError) as error:
        return trouble(path, error)
    return ""


def trouble(path: Path, error: Exception) -> str:
    """One sentence on a path that could not be read."""
    name = inert(path)
    if isinstance(error, FileNotFoundError):
        return f"{name} is not there (any more)."
    if isinstance(error, NotADirectoryError):
        return f"{name} is not a folder (any more)."
    if isinstance(error, PermissionError):
        return f"{name} may not be read by you."
    why = inert(error.strerror) if isinstance(error, OSError) and error.strerror else "no system could have such a name"
    return f"{name} cannot be read: {why}."


def tail(path: Path, cells: int) -> str:
    """The end of a path, made inert, in at most so many cells."""
    text = str(path)
    shown = inert(text[-MOST_TAIL:])
    if len(text) <= MOST_TAIL and cell_len(shown) <= cells:
        return shown
    while shown and cell_len(shown) >= cells:
        shown = shown[1:]
    return "…" + shown


def fitted(name: str, cells: int) -> str:
    """A name, made inert, in exactly so many cells."""
    shown = inert(name)
    return set_cell_size(shown if cell_len(shown) <= cells else set_cell_size(shown, cells - 2) + "..", cells)


def is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _inside(path: str) -> str:
    """What is in a folder; only names are looked at."""
    names = pictures = folders = 0
    kind = ""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                names += 1
                if names > MOST_COUNTED:
                    break
                if entry.name == "model_index.json":
                    kind = "a model"
                elif entry.name == "project.toml":
                    kind = "a project"
                elif is_picture(entry.name) and not entry.name.startswith("."):
                    pictures += 1
                elif _is_folder(entry):
                    folders += 1
    except PermissionError:
        return "may not be read"
    except (OSError, ValueError):
        return "cannot be read"
    if kind:
        return kind
    if pictures:
        return ("over " if names > MOST_COUNTED else "") + _counted(pictures, "picture")
    if names > MOST_COUNTED:
        return f"over {MOST_COUNTED:,} files"
    if folders:
        return _counted(folders, "folder")
    return _counted(names, "file") or "empty"


def _size(path: str) -> str:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return "leads nowhere" if os.path.islink(path) else "gone"
    except (OSError, ValueError):
        return "cannot be read"
    return size(there.st_size) if stat.S_ISREG(there.st_mode) else "no file"


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}{'s' if count != 1 else ''}" if count else ""


def _sorted(names: list[str]) -> list[str]:
    return sorted(names, key=_order)


def _order(name: str) -> tuple[list[str | int], str]:
    """Numbers by their value: 2 comes before 10."""
    parts = _NUMBERS.split(name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
