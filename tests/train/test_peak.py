"""Peaks of trainings on a GPU are kept beside what was predicted of the same work; a driver is stood in for one, as no
GPU is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.plan.memory import CUDA_CONTEXT_BYTES, bill
from engine.plan.prediction import predictor
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.settings import Settings, resolve
from engine.runs import memory_seen
from engine.train import job
from engine.train.job import make_accelerator
from engine.train.peak import PeakWatch, batches_seen
from tests.training import Trainer, own_process

CUDA, NAME, GB = torch.device("cuda", 0), "NVIDIA GeForce RTX 3060", 10**9
BATCH_OF_ONE: dict[str, object] = {"train_batch_size": 1, "sample_every_n_steps": 2}


@dataclass
class Driver:
    """What PyTorch says was reserved at most."""

    reserved: int = 0

    def takes(self, size: int) -> None:
        self.reserved = max(self.reserved, size)


@pytest.fixture(autouse=True)
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    stands_in = Driver()
    monkeypatch.setattr(memory_seen, "state_dir", lambda: tmp_path)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: stands_in.reserved)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: NAME)
    return stands_in


def pictures(*buckets: tuple[int, int]) -> Any:
    return [SimpleNamespace(bucket=bucket, repeats=1) for bucket in buckets]


MANY = pictures(*[(1024, 1024)] * 40)
PROMPTS = [SamplePrompt("zibo", 1024, 1024, 0)]


def predicted(settings: Settings, part: str, bucket: tuple[int, int] = (1024, 1024)) -> int:
    """As much as PyTorch would reserve where it needs just what is predicted."""
    return bill(settings, bucket).phases[part] - CUDA_CONTEXT_BYTES


def draws(driver: Driver, most: int, tile: int | None = None) -> tuple[Any, Any]:
    """What draws samples, which takes `most`, in tiles at last where `tile` is their side; and its sampler."""
    sampler = SimpleNamespace(tile=None)

    def make(step: int, again: bool) -> bool:
        driver.takes(most)
        sampler.tile = tile
        return True

    return make, sampler


def correction() -> float:
    return memory_seen.correction(NAME)


def test_a_training_that_ends_before_its_first_sample_is_held_against_its_steps_alone(driver: Driver) -> None:
    settings = resolve(BATCH_OF_ONE)
    watch = PeakWatch(settings, "sdxl", CUDA)
    driver.takes(predicted(settings, "training"))
    watch.remember(MANY, 5)
    assert correction() == 1.0
    assert memory_seen.seen()[NAME][0][0] < bill(settings, (1024, 1024)).peak_bytes


def test_samples_in_tiles_teach_nothing_and_what_was_before_them_stays(driver: Driver) -> None:
    """The first try took all that there was."""
    settings = resolve(BATCH_OF_ONE)
    watch = PeakWatch(settings, "sdxl", CUDA)
    sample = watch.around_samples(*draws(driver, 12 * GB, tile=512), PROMPTS)
    driver.takes(predicted(settings, "training"))
    sample(2, False)
    driver.takes(13 * GB)
    watch.remember(MANY, 5)
    assert correction() == 1.0


def test_samples_that_were_whole_leave_the_peak_of_the_steps_before_them(driver: Driver) -> None:
    settings = resolve(BATCH_OF_ONE)
    watch = PeakWatch(settings, "sdxl", CUDA)
    sample = watch.around_samples(*draws(driver, 2 * predicted(settings, "sampling")), PROMPTS)
    driver.takes(predicted(settings, "training"))
    sample(2, False)
    watch.remember(MANY, 5)
    assert correction() == 1.0


def test_where_samples_took_more_than_could_be_told_apart_they_are_held_against_samples(driver: Driver) -> None:
    """The first picture comes before the first step, and its memory stays with PyTorch."""
    settings = resolve(BATCH_OF_ONE | {"sample_at_first": True})
    watch = PeakWatch(settings, "sdxl", CUDA)
    make, sampler = draws(driver, predicted(settings, "sampling"))
    driver.takes(predicted(settings, "training") + GB)
    watch.around_samples(lambda step, again: True, sampler, PROMPTS)(0, False)
    watch.around_samples(make, sampler, PROMPTS)(2, False)
    watch.remember(MANY, 3)
    assert correction() == 1.0
    assert memory_seen.seen()[NAME][0][0] == bill(settings, (1024, 1024)).phases["sampling"]


@pytest.mark.parametrize("tile", [None, 512])
def test_smaller_samples_and_ones_in_tiles_are_held_against_nothing(driver: Driver, tile: int | None) -> None:
    settings = resolve(BATCH_OF_ONE)
    watch = PeakWatch(settings, "sdxl", CUDA)
    size = 512 if tile is None else 1024
    watch.around_samples(*draws(driver, 9 * GB, tile), [SamplePrompt("zibo", size, size, 0)])(0, False)
    watch.remember(MANY, 3)
    assert memory_seen.seen() == {}


def test_a_picture_that_somebody_asked_for_counts_for_nothing(driver: Driver) -> None:
    settings = resolve(BATCH_OF_ONE)
    watch = PeakWatch(settings, "sdxl", CUDA)
    driver.takes(predicted(settings, "training"))
    watch.around_asked(lambda step, prompt, seed, name: driver.takes(20 * GB))(3, "a castle --w 2048", None, "a")
    watch.remember(MANY, 5)
    assert correction() == 1.0


def test_what_was_encoded_before_teaches_nothing_where_it_took_most(driver: Driver) -> None:
    driver.takes(9 * GB)
    watch = PeakWatch(resolve(BATCH_OF_ONE), "sdxl", CUDA)
    driver.takes(8 * GB)
    watch.remember(MANY, 5)
    assert memory_seen.seen() == {}


def test_the_first_step_alone_teaches_nothing(driver: Driver) -> None:
    watch = PeakWatch(resolve(BATCH_OF_ONE), "sdxl", CUDA, start=10)
    driver.takes(9 * GB)
    watch.remember(MANY, 11)
    assert memory_seen.seen() == {}


def test_processors_and_the_practice_model_teach_nothing(driver: Driver) -> None:
    for size, device in (("sdxl", torch.device("cpu")), ("micro", CUDA)):
        watch = PeakWatch(resolve(BATCH_OF_ONE), size, device)  # type: ignore[arg-type]
        driver.takes(9 * GB)
        watch.remember(MANY, 5)
    assert memory_seen.seen() == {}


def test_whatever_fails_there_does_not_end_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cuda, "max_memory_reserved")
    PeakWatch(resolve({}), "sdxl", CUDA).remember(MANY, 5)
    assert memory_seen.seen() == {}


def test_only_what_was_trained_counts_as_the_largest() -> None:
    mixed, settings = pictures((512, 512), (1024, 1024), *[(768, 768)] * 3), resolve({"train_batch_size": 2})
    every = {((512, 512), 1), ((1024, 1024), 1), ((768, 768), 2), ((768, 768), 1)}
    assert batches_seen(mixed, settings, 0, 100) == every
    for step in range(4):
        assert len(batches_seen(mixed, settings, step, step + 1)) == 1
    assert batches_seen(mixed, settings, 0, 100, processes=2) == {((512, 512), 1), ((1024, 1024), 1), ((768, 768), 2)}


def test_what_a_training_took_is_held_against_what_was_predicted_of_it(driver: Driver) -> None:
    """Of batches that were asked for and cannot occur nothing would be learnt but a wrong correction."""
    settings = resolve({"train_batch_size": 8, "sample_every_n_steps": 0})
    few = pictures(*[(1024, 1024)] * 4, *[(1216, 832)] * 2)
    watch = PeakWatch(settings, "sdxl", CUDA)
    counts = {(1024, 1024): 4, (1216, 832): 2}
    before = predictor(settings, SimpleNamespace(buckets=counts))(settings)  # type: ignore[arg-type]
    driver.takes(before - CUDA_CONTEXT_BYTES)
    watch.remember(few, 2)
    assert memory_seen.seen()[NAME] == [(before, before)]


def test_a_training_is_watched_through_its_samples(
    train: Trainer, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole job of the practice model, which is taken for full size on a card."""
    parts = []

    class Watch(PeakWatch):
        def __init__(self, settings: Settings, size: Any, device: torch.device, start: int = 0) -> None:
            super().__init__(settings, "sdxl", CUDA, start)

        def _read(self, part: Any, step: int) -> None:
            driver.takes(driver.reserved + 1_000_000)
            parts.append((part, step))
            super()._read(part, step)

    monkeypatch.setattr(job, "PeakWatch", Watch)
    trained = train(sample_every_n_steps=2, sample_prompts=("ohwx --w 64 --h 64 --s 1",))
    assert trained.code == 0
    assert parts == [(None, 0), ("training", 2), ("sampling", 2), ("training", 3)]
    ((of_the_steps, measured),) = memory_seen.seen()[NAME]
    assert trained.run.job.settings is not None
    assert of_the_steps == bill(trained.run.job.settings, (64, 64)).phases["training"]
    assert measured == 2_000_000 + CUDA_CONTEXT_BYTES


def test_autocast_keeps_no_half_copies_of_the_lora() -> None:
    with own_process(), make_accelerator(resolve({"mixed_precision": "bf16"}), torch.device("cpu")).autocast():
        assert torch.is_autocast_enabled("cpu")
        assert not torch.is_autocast_cache_enabled()
    assert torch.is_autocast_cache_enabled()
