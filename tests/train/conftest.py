"""Trainings for these tests; one undisturbed run that many of them compare theirs with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training import Trained, Trainer


@pytest.fixture(scope="session")
def train(micro_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return Trainer(micro_folder, tmp_path_factory.mktemp("projects"), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def plain(train: Trainer) -> Trained:
    """Four pictures once, in batches of two: three steps, since one picture is of another shape."""
    return train()


@pytest.fixture
def before_call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`before_call(module, "name", {3: action})` does `action` just before the third call."""

    def arrange(owner: Any, name: str, actions: dict[int, Callable[[], object]]) -> None:
        original, count = getattr(owner, name), 0

        def counted(*arguments: Any, **rest: Any) -> Any:
            nonlocal count
            count += 1
            if count in actions:
                actions[count]()
            return original(*arguments, **rest)

        monkeypatch.setattr(owner, name, counted)

    return arrange
