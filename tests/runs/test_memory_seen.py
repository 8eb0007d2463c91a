"""What trainings needed on this machine's GPUs, by which later predictions are corrected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.plan.memory import CORRECTIONS
from engine.runs import memory_seen
from engine.runs.memory_seen import KEPT, correction, remember, seen

GB = 10**9


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_seen, "state_dir", lambda: tmp_path / "state")


def test_nothing_measured_corrects_nothing() -> None:
    assert seen() == {}
    assert correction("NVIDIA GeForce RTX 3090") == 1.0


def test_predictions_are_corrected_by_the_median_for_that_gpu() -> None:
    for measured in (11, 12, 30):
        assert remember("NVIDIA GeForce RTX 3090", 10 * GB, measured * GB)
    remember("NVIDIA A100", 10 * GB, 9 * GB)
    assert correction("NVIDIA GeForce RTX 3090") == pytest.approx(1.2)
    assert correction("NVIDIA A100") == pytest.approx(0.9)
    assert correction("Tesla T4") == 1.0


def test_one_odd_measurement_does_not_carry_predictions_away() -> None:
    remember("T4", GB, 1000 * GB)
    assert correction("T4") == CORRECTIONS[1]
    remember("V100", 1000 * GB, GB)
    assert correction("V100") == CORRECTIONS[0]


def test_only_the_newest_count() -> None:
    for _ in range(KEPT):
        remember("T4", 10 * GB, 14 * GB)
    for _ in range(KEPT):
        remember("T4", 10 * GB, 10 * GB)
    assert len(seen()["T4"]) == KEPT
    assert correction("T4") == 1.0


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b'{"v": 3, "gpus": {}}',
        b'{"v": 2, "gpus": []}',
        b'{"v": 2, "gpus": {"T4": 3}}',
        b'{"v": 2, "gpus": {"T4": [[0, 5], [5], [1, NaN], ["1", 2], [true, 2], [1, 1e400], [-1, 5]]}}',
        b'{"v": 2, "gpus": {"T4": [[1, 99999999999999]]}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_counts_as_nothing_seen_and_is_written_anew(damaged: bytes) -> None:
    memory_seen.path().parent.mkdir()
    memory_seen.path().write_bytes(damaged)
    assert correction("T4") == 1.0
    assert remember("T4", 10 * GB, 11 * GB)
    assert correction("T4") == pytest.approx(1.1)


def test_what_was_kept_when_unlike_was_compared_corrects_nothing() -> None:
    """As an RTX 3060 kept it whose training needed just what was predicted: samples counted in the prediction only."""
    memory_seen.path().parent.mkdir()
    pair = [15_160_177_767, 12_208_000_000]
    memory_seen.path().write_text(json.dumps({"v": 1, "gpus": {"NVIDIA GeForce RTX 3060": [pair]}}))
    assert correction("NVIDIA GeForce RTX 3060") == 1.0
    assert remember("NVIDIA GeForce RTX 3060", 12 * GB, 12 * GB)
    assert seen() == {"NVIDIA GeForce RTX 3060": [(12 * GB, 12 * GB)]}


@pytest.mark.parametrize(("predicted", "measured"), [(0, 5), (5, 0), (-5, 5), (10**14, 5)])
def test_what_can_be_no_peak_is_not_kept(predicted: int, measured: int) -> None:
    assert not remember("T4", predicted, measured)
    assert seen() == {}


def test_a_disk_that_takes_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    memory_seen.path().parent.write_text("a file where the folder should be")
    assert not remember("T4", 10 * GB, 11 * GB)
