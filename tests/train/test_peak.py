"""Peaks of trainings on a GPU are kept; a driver is stood in for one, as no GPU is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.plan.memory import CUDA_CONTEXT_BYTES, bill
from engine.plan.settings import resolve
from engine.runs import memory_seen
from engine.train.job import make_accelerator
from engine.train.peak import remember_peak
from tests.training import own_process

CUDA, BUCKETS = torch.device("cuda", 0), [(1024, 1024), (1536, 640), (512, 512)]


@pytest.fixture(autouse=True)
def a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_seen, "state_dir", lambda: tmp_path)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 9_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GeForce RTX 3090")


def test_the_peak_of_a_training_is_kept_beside_what_was_predicted() -> None:
    settings = resolve({"network_dim": 32})
    remember_peak(settings, "sdxl", BUCKETS, CUDA)
    predicted = bill(settings, (1024, 1024)).peak_bytes
    assert memory_seen.seen() == {"NVIDIA GeForce RTX 3090": [(predicted, 9_000_000_000 + CUDA_CONTEXT_BYTES)]}


def test_processors_and_the_practice_model_teach_nothing() -> None:
    remember_peak(resolve({}), "sdxl", BUCKETS, torch.device("cpu"))
    remember_peak(resolve({}), "micro", BUCKETS, CUDA)
    assert memory_seen.seen() == {}


def test_whatever_fails_there_does_not_end_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cuda, "max_memory_reserved")
    remember_peak(resolve({}), "sdxl", BUCKETS, CUDA)
    assert memory_seen.seen() == {}


def test_autocast_keeps_no_half_copies_of_the_lora() -> None:
    with own_process(), make_accelerator(resolve({"mixed_precision": "bf16"}), torch.device("cpu")).autocast():
        assert torch.is_autocast_enabled("cpu")
        assert not torch.is_autocast_cache_enabled()
    assert torch.is_autocast_cache_enabled()
