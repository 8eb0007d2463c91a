"""The micro model as a single file in Stability's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.models.single_file import write_single_file


@pytest.fixture(scope="session")
def micro_file(micro_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("single") / "micro.safetensors"
    write_single_file(micro_folder, path)
    return path
