"""A project to talk about."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.small_run import make_project
from engine.plan import found_models


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recent projects and models of this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(found_models, "_SHARED", ())
    monkeypatch.setattr(found_models, "_BASES", ())
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_project(tmp_path / "ohwx")
