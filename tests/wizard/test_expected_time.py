"""How long a training will take, told before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.plan.base_model import BaseModel, recognise
from engine.plan.gpu_catalogue import named
from engine.plan.gpus import Found, Gpu
from engine.plan.pace import Pace
from engine.plan.settings import resolve
from engine.runs.folder import create
from engine.runs.job import Job
from lora_tui import hardware, recent
from lora_tui.expected_time import expected_pace, expected_words

GIB = 2**30
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", "cuda", 24 * GIB, 23 * GIB, (8, 6), True)
SETTINGS = resolve({"pretrained_model_name_or_path": "/models/xl.safetensors"})


@pytest.fixture(autouse=True)
def one_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(hardware, "_look", lambda: Found("cuda", (RTX_3090,)))
    monkeypatch.setattr(hardware, "_answers", [])


@pytest.fixture
def full_size() -> BaseModel:
    return BaseModel("single-file", Path("/models/xl.safetensors"), "sdxl", "epsilon", 32)


def trained(project: Path, seconds: float) -> str:
    run = create(project / "runs", Job("train", settings=SETTINGS))
    events = [{"kind": "job", "device": f"{RTX_3090.name} (cuda:0)"}, *({"kind": "step", "seconds": seconds},) * 9]
    lines = [json.dumps({"v": 1, "seq": seq, "time": seq} | event) for seq, event in enumerate(events, 1)]
    run.events_path.write_text("\n".join(lines) + "\n")
    return run.name


def test_what_was_measured_here_comes_before_the_data_sheet(tmp_path: Path, full_size: BaseModel) -> None:
    project, other = tmp_path / "a", tmp_path / "b"
    project.mkdir()
    other.mkdir()
    pace = expected_pace(project, SETTINGS, full_size)
    assert pace is not None
    assert pace.source == "rough"
    recent.remember(other)
    name = trained(other, 3.5)
    assert expected_pace(project, SETTINGS, full_size) == Pace(3.5, "measured", name)
    name = trained(project, 2.5)
    assert expected_pace(project, SETTINGS, full_size) == Pace(2.5, "measured", name)


def test_a_planned_gpu_goes_by_its_data_sheet_and_a_practice_model_by_none(
    tmp_path: Path, full_size: BaseModel
) -> None:
    trained(tmp_path, 2.5)
    hardware.plan_for(named("T4"))
    pace = expected_pace(tmp_path, SETTINGS, full_size)
    assert pace is not None
    assert (pace.source, pace.where) == ("rough", "T4 16 GB")
    assert expected_pace(tmp_path, resolve({"pretrained_model_name_or_path": "micro"}), recognise("micro")) is None
    assert expected_pace(tmp_path, SETTINGS, None) is None


def test_in_words() -> None:
    said = expected_words(Pace(2.0, "measured", "2026-11-22_153012"), 2100)
    assert said.startswith("About 1 h 10 min for 2,100 steps, without samples: 2 s a step, as measured in the run 2026")
