"""What earlier runs tell of the seconds of a step: only those of like settings on the same device count."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.plan.gpus import Gpu
from engine.plan.pace import Pace
from engine.plan.settings import Settings, resolve
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.measured_pace import measured

GPU = Gpu("NVIDIA GeForce RTX 3090")


def run_of(
    folder: Path, settings: Settings, seconds: list[object], *, device: str = f"{GPU.name} (cuda:0)", dry: bool = False
) -> RunFolder:
    arguments = {"dry_run": 5} if dry else {}
    run = create(folder, Job("train", settings=settings, arguments=arguments))
    events: list[dict[str, object]] = [{"kind": "job", "job": "train", "device": device}]
    events += [{"kind": "step", "step": step, "seconds": taken} for step, taken in enumerate(seconds, 1)]
    lines = [json.dumps({"v": 1, "seq": seq, "time": seq} | event) for seq, event in enumerate(events, 1)]
    run.events_path.write_text("\n".join(lines) + "\n{torn")
    return run


USUAL: list[object] = [30.0, 3.0, 2.5, 2.0, 2.2, 2.1, 9.0, None, "x", -1.0]


def test_the_median_of_the_first_steps_but_those_that_warm_up(tmp_path: Path) -> None:
    run = run_of(tmp_path, resolve(), USUAL)
    assert measured([run], resolve({"seed": 7, "learning_rate": 0.9}), GPU) == Pace(
        pytest.approx(2.15), "measured", run.name
    )
    assert measured([run], resolve()) is not None


@pytest.mark.parametrize(
    "values",
    [{"train_batch_size": 4}, {"resolution": "768,768"}, {"gradient_checkpointing": False}, {"network_dim": 8},
     {"pretrained_model_name_or_path": "micro"}],
)  # fmt: skip
def test_other_settings_tell_nothing(tmp_path: Path, values: dict[str, object]) -> None:
    run = run_of(tmp_path, resolve(values), USUAL)
    assert measured([run], resolve(), GPU) is None


def test_another_device_and_too_few_steps_tell_nothing(tmp_path: Path) -> None:
    assert measured([run_of(tmp_path, resolve(), USUAL, device="CPU, 2 threads")], resolve(), GPU) is None
    assert measured([run_of(tmp_path, resolve(), USUAL[:5])], resolve(), GPU) is None


@pytest.mark.parametrize(
    ("device", "gpu", "tells"),
    [
        ("NVIDIA GeForce RTX 4070 Ti SUPER (cuda:0)", Gpu("NVIDIA GeForce RTX 4070"), False),
        ("NVIDIA GeForce RTX 4070 (cuda:0)", Gpu("NVIDIA GeForce RTX 4070 Ti SUPER"), False),
        ("NVIDIA GeForce RTX 4070 (cuda:1)", Gpu("NVIDIA GeForce RTX 4070"), True),
        ("mps", Gpu("Apple M2", "mps"), True),
        ("CPU, 2 threads", None, True),
    ],
)
def test_a_card_with_a_longer_name_is_another_card(tmp_path: Path, device: str, gpu: Gpu | None, tells: bool) -> None:
    run = run_of(tmp_path, resolve(), USUAL, device=device)
    assert (measured([run], resolve(), gpu) is not None) == tells


def test_a_dry_run_tells_its_own_figure(tmp_path: Path) -> None:
    run = run_of(tmp_path, resolve(), USUAL, dry=True)
    assert measured([run], resolve(), GPU) is None  # it was stopped
    run.result_path.write_text(json.dumps({"seconds_per_step": 1.75}))
    assert measured([run], resolve(), GPU) == Pace(1.75, "tried", run.name)
    run.result_path.write_text("[" * 100_000)
    assert measured([run], resolve(), GPU) is None


def test_the_first_that_tells_counts_and_odd_folders_are_passed_over(tmp_path: Path) -> None:
    odd = create(tmp_path, Job("caption"))
    fifo = create(tmp_path, Job("train", settings=resolve()))
    os.mkfifo(fifo.events_path)
    gone = RunFolder(tmp_path / "gone")
    run = run_of(tmp_path, resolve(), USUAL)
    pace = measured([odd, fifo, gone, run, run_of(tmp_path, resolve(), [1.0] * 9)], resolve(), GPU)
    assert pace is not None
    assert pace.where == run.name
