"""The projects that were used lately, newest first. A convenience: whatever goes wrong with it is not worth a word."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import atomic_write
from engine.runs.places import state_dir

PROJECTS_KEPT = 50


def projects() -> list[Path]:
    """The project folders that were used lately and are still there, newest first."""
    return [path for path in _read() if _is_folder(path)]


def remember(project: Path) -> None:
    """Put `project` first. Never raises: on a read-only or full disk it is simply not remembered."""
    path = project.absolute()
    with contextlib.suppress(UserError, OSError), _one_at_a_time():
        # Those that are not there now stay in the file: their disk may only be unplugged.
        kept = [path, *(other for other in _read() if other != path)][:PROJECTS_KEPT]
        # ASCII: bytes of a name that are not UTF-8 are lone surrogates here, and JSON can spell them.
        atomic_write(list_path(), json.dumps({"v": 1, "projects": [str(other) for other in kept]}) + "\n")


def list_path() -> Path:
    """The file they stand in, for `doctor`."""
    return state_dir() / "recent.json"


def _read() -> list[Path]:
    try:
        listed = json.loads(list_path().read_bytes())["projects"]
        texts = [text for text in listed if isinstance(text, str) and text.startswith("/") and "\0" not in text]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # damaged or from another version: it fills up again by itself
    return [Path(text) for text in dict.fromkeys(texts)][:PROJECTS_KEPT]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a dead network disk, a name that is too long
        return False


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two terminals that start something at once must not lose each other's project."""
    state_dir().mkdir(parents=True, exist_ok=True)
    with list_path().with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed when the file is closed, also by a kill
        yield
