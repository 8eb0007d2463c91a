"""Looks at a project's pictures in the background, for blur and near-copies; nothing ever waits for it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.plan.looked import KEPT_SECONDS, Looks, keep_looks
from engine.plan.project import Project
from lora_tui.progress import amount

TOLD_SECONDS = 1.0  # between two reports of how far it is: each is sent over a line that may be slow

_Wanted = tuple[Project, Looks, Sequence[Path]]


class Looker:
    """`then()` is called when pictures were looked at that were not before, `told()` while that goes on; in its thread.

    told: how far it is, in words; "" while it rests.
    """

    def __init__(self, then: Callable[[], None], changed: Callable[[], None]) -> None:
        self._then, self._changed = then, changed
        self._lock = threading.Lock()
        self._wanted: _Wanted | None = None
        self._began = self._tell_at = self._keep_at = 0.0
        self._busy = False
        self.told = ""

    @property
    def busy(self) -> bool:
        return self._busy

    def look(self, project: Project, looks: Looks, paths: Sequence[Path]) -> None:
        """Look at those of the pictures that were not looked at as they are now."""
        with self._lock:
            self._wanted = (project, looks, paths)
            if self._busy:
                return
            self._busy = True
        # A daemon: an app that has to leave within a second cannot wait for a disk.
        threading.Thread(target=self._work, name="looker", daemon=True).start()

    def _work(self) -> None:
        while (wanted := self._next()) is not None:
            project, looks, paths = wanted
            before = looks.looked
            self._began = time.monotonic()
            self._tell_at, self._keep_at = self._began + TOLD_SECONDS, self._began + KEPT_SECONDS

            def progress(done: int, total: int, project: Project = project, looks: Looks = looks) -> None:
                self._progress(done, total)
                if time.monotonic() > self._keep_at:
                    self._keep_at = time.monotonic() + KEPT_SECONDS
                    keep_looks(project, looks)

            with contextlib.suppress(_OutdatedError):
                looks.look_at(paths, progress)
            keep_looks(project, looks)
            self.told = ""
            if looks.looked != before:
                self._then()

    def _next(self) -> _Wanted | None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
            self._busy = wanted is not None
            return wanted

    def _progress(self, done: int, total: int) -> None:
        if self._wanted is not None:
            raise _OutdatedError
        if (now := time.monotonic()) > self._tell_at:
            self._tell_at = now + TOLD_SECONDS
            self.told = f"Looking for blur and near-copies: {amount(done, total, seconds=now - self._began)}"
            self._changed()


class _OutdatedError(Exception):
    """Other pictures are wanted by now."""
