"""Pictures are read ahead in threads; nothing but the time depends on how many."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from PIL import Image

from engine.data import cache
from engine.data.ahead import EACH, ahead
from engine.data.cache import Latents
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.dataset import Picture
from tests.micro_model import base_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order(threads: int) -> None:
    assert list(ahead(lambda number: number * number, range(40), threads)) == [n * n for n in range(40)]


def test_threads_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3)

    def meet(number: int) -> int:
        meeting.wait(timeout=30)  # breaks, and raises, where not all three come
        return number

    assert list(ahead(meet, range(3), 3)) == [0, 1, 2]


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_in_its_place(threads: int) -> None:
    results = ahead(lambda number: 6 // (3 - number), range(9), threads)
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_more_is_done_ahead_than_fits_and_the_rest_is_given_up() -> None:
    done: list[int] = []
    results = ahead(done.append, range(1000), 2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(done) <= 2 * EACH + 2


@pytest.fixture(scope="module")
def model(micro_folder: Path) -> SDXL:
    return load(base_of(micro_folder))


def test_latents_are_the_same_however_many_read_them(
    tmp_path: Path, model: SDXL, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 64), (40 * (number % 5), 20, 99)).save(path)  # the last is a copy of the first
        pictures.append(Picture(path, "train", "1_a", 64, 64, (64, 64), (64, 64), 1, "a", None, False))
    readers: set[str] = set()
    original = cache.pictures.load

    def spy(path: Path) -> Image.Image:
        readers.add(threading.current_thread().name)
        return original(path)

    monkeypatch.setattr(cache.pictures, "load", spy)
    found = []
    for workers in (0, 2):
        readers.clear()
        folder = tmp_path / f"cache {workers}"
        found.append(Latents(folder, model, CPU, workers=workers).load(pictures, lambda *_: None))
        assert ("MainThread" in readers) == (workers == 0)
        assert len(list((folder / "latents").iterdir())) == 5
    for one, other in zip(*found, strict=True):
        assert torch.equal(one.mean, other.mean)
        assert torch.equal(one.std, other.std)
