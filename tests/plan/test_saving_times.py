"""When a LoRA is saved and which go again, against sd-scripts' own arithmetic."""

from __future__ import annotations

import pytest

from engine.plan.saving_times import due_after, most_loras, newest_epoch_to_go, newest_step_to_go, sample_rounds
from engine.plan.settings import resolve


def due(total: int, per_epoch: int, what: str, **values: object) -> list[int]:
    settings = resolve(values)
    return [n for n in range(1, total + 1) if getattr(due_after(settings, n, per_epoch, total), what)]


def test_loras_of_epochs_and_of_steps() -> None:
    assert due(12, 3, "lora", save_every_n_epochs=2) == [6, 12]
    assert due(12, 3, "lora", save_every_n_epochs=0) == [12]
    assert due(12, 3, "step_lora", save_every_n_steps=5) == [5, 10]
    assert due(12, 3, "step_lora") == []


def test_samples_of_epochs_leave_out_those_of_steps() -> None:
    assert due(12, 3, "sample", sample_every_n_steps=5) == [5, 10]
    assert due(12, 3, "sample", sample_every_n_steps=5, sample_every_n_epochs=2) == [6, 12]
    assert sample_rounds(resolve({"sample_every_n_epochs": 2, "sample_at_first": True}), 3, 12) == 3
    assert sample_rounds(resolve({"sample_every_n_steps": 5}), 3, 12) == 2


@pytest.mark.parametrize(
    ("step", "last", "every", "removed"),
    [(50, 30, 10, 10), (40, 30, 10, 0), (60, 30, 10, 20), (500, 0, 10, 0), (500, 100, 0, 0), (250, 249, 250, 0)],
)
def test_the_steps_whose_loras_go(step: int, last: int, every: int, removed: int) -> None:
    settings = resolve({"save_every_n_steps": every, "save_last_n_steps": last})
    assert newest_step_to_go(settings, step) == removed


@pytest.mark.parametrize(
    ("epoch", "last", "every", "removed"), [(3, 2, 1, 1), (2, 2, 1, 0), (8, 2, 2, 4), (8, 0, 2, 0)]
)
def test_the_epochs_whose_loras_go(epoch: int, last: int, every: int, removed: int) -> None:
    settings = resolve({"save_every_n_epochs": every, "save_last_n_epochs": last})
    assert newest_epoch_to_go(settings, epoch) == removed


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ({}, 4),
        ({"save_every_n_epochs": 0}, 1),
        ({"max_train_epochs": 20, "save_last_n_epochs": 2}, 4),
        ({"save_every_n_steps": 100}, 4 + 10),
        ({"save_every_n_steps": 100, "save_last_n_steps": 300}, 4 + 5),
    ],
)
def test_the_most_loras_at_once(values: dict[str, object], most: int) -> None:
    """Counted over 1000 steps as they are saved and removed."""
    assert most_loras(resolve(values), 1000) == most
