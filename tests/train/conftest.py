"""Trainings for these tests; one undisturbed run that many of them compare theirs with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training import Trained, Trainer


@pytest.fixture(scope="session")
def train(micro_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return Trainer(micro_folder, tmp_path_factory.mktemp("projects"), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def plain(train: Trainer) -> Trained:
    """Four pictures once, in batches of two: three steps, since one picture is of another shape."""
    return train()
