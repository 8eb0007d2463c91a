"""Readers under fire: what they are given is nonsense, and all they may do is refuse it in a sentence.

`FUZZ=100 make test ARGS=tests/fuzz` tries a hundred times as much, other things each time.
"""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of all examples: hypothesis runs many within one test."""
    return tmp_path_factory.mktemp("fuzz")
