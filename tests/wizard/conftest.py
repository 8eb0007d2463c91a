"""A small project that is ready to be trained, made without the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.small_run import make_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_project(tmp_path / "ohwx")
