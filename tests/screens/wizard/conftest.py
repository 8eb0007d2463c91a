"""A project to open, and a home of each test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.small_run import make_project


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recent projects of this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_project(tmp_path / "ohwx")
