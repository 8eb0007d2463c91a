"""The practice model knows three picture shapes and says so; others are pointed out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.plan.base_model import BaseModel
from engine.plan.dataset_checks import check_bucket_shapes


def base(*shapes: tuple[int, int]) -> BaseModel:
    return BaseModel("built-in", Path("/m"), "micro", "epsilon", 16, bucket_shapes=shapes)


def dataset(*buckets: tuple[int, int]) -> Any:
    return SimpleNamespace(buckets=dict.fromkeys(buckets, 1))


def test_shapes_the_model_never_saw_are_named() -> None:
    (finding,) = check_bucket_shapes(dataset((96, 96), (64, 128)), base((96, 96), (80, 112)))
    assert finding.code == "unfamiliar-bucket"
    assert "64x128" in finding.message
    assert "80x112" in finding.hint


def test_known_shapes_and_models_that_declare_none_give_no_finding() -> None:
    assert not list(check_bucket_shapes(dataset((96, 96)), base((96, 96), (80, 112))))
    assert not list(check_bucket_shapes(dataset((64, 128)), base()))
