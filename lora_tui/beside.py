"""What the app keeps of a project that is no part of it, in the project's folder `.lora-tui`: where it was left, what
is half typed, edits that wait. Where that folder cannot be written, in the user's own state folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import atomic_write
from engine.runs.places import state_dir

OWN_FOLDER = ".lora-tui"


class Beside:
    """Small JSON objects by name. Nothing here raises: what cannot be read is empty."""

    def __init__(self, project: Path) -> None:
        self.folder = project / OWN_FOLDER
        self._instead = state_dir() / "projects" / hashlib.sha256(os.fsencode(project)).hexdigest()[:16]

    def remember(self, what: str, value: Mapping[str, object]) -> bool:
        """Keep it; whether that could be done anywhere."""
        text = json.dumps(value, ensure_ascii=True) + "\n"
        if _written(self.folder / f"{what}.json", text):
            _remove(self._instead / f"{what}.json")
            return True
        return _written(self._instead / f"{what}.json", text)

    def remembered(self, what: str) -> dict[str, object]:
        """What was kept last; empty where there is nothing that can be read."""
        for folder in (self._instead, self.folder):  # the first is there only while the other could not be written
            with contextlib.suppress(OSError, ValueError, RecursionError):
                said = json.loads((folder / f"{what}.json").read_bytes())
                if isinstance(said, dict):
                    return said
        return {}

    def forget(self, what: str) -> None:
        for folder in (self._instead, self.folder):
            _remove(folder / f"{what}.json")


def _written(path: Path, text: str) -> bool:
    with contextlib.suppress(UserError, OSError):
        # Never a project's folder itself: one that was moved away must not come back empty.
        path.parent.mkdir(exist_ok=True, parents=path.parent.name != OWN_FOLDER)
        atomic_write(path, text)
        return True
    return False


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
