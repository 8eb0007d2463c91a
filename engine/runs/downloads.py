"""The base models that were downloaded: where each was put, so that it is found again wherever that is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import atomic_write
from engine.runs.places import state_dir

KEPT = 100


def list_path() -> Path:
    """The file they stand in."""
    return state_dir() / "downloads.json"


def default_folder() -> Path:
    """Where a file is put unless somebody says otherwise: where models are kept on this machine already, else
    ~/models. A rented machine's /workspace outlives the machine, its home does not.
    """
    home = Path.home()
    for folder in (home / "models", home / "Models", Path("/workspace/models")):
        if folder.is_dir() and os.access(folder, os.W_OK):
            return folder
    shared = Path("/workspace")
    return (shared if shared.is_dir() and os.access(shared, os.W_OK) else home) / "models"


def paths() -> list[Path]:
    """Those that are still there, the newest first. Never raises."""
    return [path for path, _ in _read() if _exists(path)]


def of_url(source: str) -> Path | None:
    """Where what was downloaded from there lies; None if it does not any more."""
    return next((path for path, other in _read() if other == source and _exists(path)), None)


def unfinished(folder: Path, source: str) -> tuple[int, int]:
    """(bytes that an earlier download from there has left in a folder, bytes in all); zeros where there are none.

    What is noted down beside a part: `engine.download.transfer`.
    """
    with contextlib.suppress(OSError):
        for note in sorted(folder.glob("*.part.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
                noted = json.loads(note.read_bytes())
                if noted["url"] == source:
                    return note.with_name(note.name.removesuffix(".json")).stat().st_size, int(noted["bytes"])
    return 0, 0


def remember(path: Path, source: str) -> None:
    """Put a download first. Never raises: on a read-only or full disk it is simply not remembered."""
    with contextlib.suppress(UserError, OSError, UnicodeError), _one_at_a_time():
        kept = [(path, source), *(entry for entry in _read() if entry[0] != path)][:KEPT]
        table = {"v": 1, "models": [{"path": str(path), "source": source} for path, source in kept]}
        atomic_write(list_path(), json.dumps(table) + "\n")


def _read() -> list[tuple[Path, str]]:
    try:
        listed = json.loads(list_path().read_bytes())["models"]
        found = [(entry["path"], entry["source"]) for entry in listed]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # damaged or from another version: it fills up again by itself
    return [(Path(path), str(source)) for path, source in found if isinstance(path, str) and path.startswith("/")][
        :KEPT
    ]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    state_dir().mkdir(parents=True, exist_ok=True)
    with list_path().with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
