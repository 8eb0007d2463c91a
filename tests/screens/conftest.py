"""Recorded runs, made once: they are only looked at."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.folder import RunFolder
from tests import idle
from tests.screens.app_test import recorded

idle.install()


@pytest.fixture(autouse=True, scope="session")
def utc() -> Iterator[None]:
    """Clock times on the screen do not depend on where the tests run."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TZ", "UTC")
    patch.setenv("COLORTERM", "truecolor")
    patch.setenv("TERM", "xterm-256color")
    patch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    patch.undo()
    time.tzset()


@pytest.fixture(scope="session")
def endings() -> Iterator[dict[str, RunFolder]]:
    """One run for each ending, by its name. In a folder whose name is short and always as long: screens wrap it."""
    names = ("running", "finished", "failed", "died", "paused")
    with tempfile.TemporaryDirectory(prefix="looks-") as folder:
        yield {name: recorded(Path(folder) / name / "zibo", name) for name in names}  # type: ignore[arg-type]


@pytest.fixture
def running(tmp_path: Path) -> RunFolder:
    """A short run that is under way, for tests that write into it. Hold its lock."""
    return recorded(tmp_path / "zibo", "running", steps=300)
