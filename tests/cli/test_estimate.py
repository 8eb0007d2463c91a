"""`estimate`: whether it fits, on this machine's GPU or another, in words and as the contract's JSON."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.plan.gpus import Found
from lora_tui import estimating, hardware

FULL_SIZE = ("--set", "pretrained_model_name_or_path=", "--set", "mixed_precision=bf16", "--set", "network_dim=96")


@pytest.fixture(autouse=True)
def no_gpu_here(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "gpus_here", Found)
    monkeypatch.setattr(estimating, "gpus_here", Found)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_another_gpu_is_planned_for(lora_tui, project):
    answer = lora_tui("estimate", str(project), "--gpu", "rtx3060-12", *FULL_SIZE, "--json")
    assert answer.code == 0
    assert answer.json["gpu"]["name"] == "RTX 3060 12 GB"
    assert answer.json["gpu"]["free_bytes"] is None
    assert answer.json["modules"] == 722
    assert answer.json["steps"] > 0
    assert answer.json["pace"] == "rough"
    assert isinstance(answer.json["fits"], bool)


def test_without_a_gpu_the_need_is_told(lora_tui, project):
    answer = lora_tui("estimate", str(project), *FULL_SIZE)
    assert answer.code == 0
    assert "there is no GPU to hold it against" in answer.out
    assert "base model (U-Net)" in answer.out


def test_a_gpu_that_could_not_be_asked_is_told_with_the_reason(lora_tui, project, monkeypatch):
    why = "The NVIDIA driver does not answer: NVML error 999."
    found = Found("cuda", problem=why, advice="Does nvidia-smi work? If not, restart.", unsure=True)
    monkeypatch.setattr(estimating, "gpus_here", lambda: found)
    answer = lora_tui("estimate", str(project), *FULL_SIZE)
    assert f"there is no GPU to hold it against. {why} Does nvidia-smi work?" in answer.out
    assert lora_tui("estimate", str(project), *FULL_SIZE, "--json").json["no_gpu"].startswith(why)
    other = lora_tui("estimate", str(project), "--gpu", "4090", *FULL_SIZE, "--json").json
    assert other["no_gpu"] is None


def test_without_pictures_the_resolution_counts(lora_tui, project):
    for path in project.glob("img/*/*"):
        path.unlink()
    answer = lora_tui("estimate", str(project), "--gpu", "4090", *FULL_SIZE)
    assert answer.code == 0
    assert "Without the pictures" in answer.err
    assert "RTX 4090" in answer.out


def test_a_gpu_that_is_not_known_is_one_sentence_with_the_nearest(lora_tui, project):
    answer = lora_tui("estimate", str(project), "--gpu", "RTX 3069", *FULL_SIZE)
    assert answer.code == 1
    assert len(answer.err.strip().splitlines()) == 1
    assert "RTX 30" in answer.err


def test_an_empty_name_is_no_gpu(lora_tui, project):
    """As `--gpu "$GPU"` with a variable that is not set: held against this machine it would mislead."""
    answer = lora_tui("estimate", str(project), "--gpu", "", *FULL_SIZE, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "which-gpu")


def test_the_practice_model_is_not_estimated(lora_tui, project):
    answer = lora_tui("estimate", str(project), "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == "practice-model"


def test_the_disk_that_it_takes_is_held_against_what_is_free(lora_tui, project, monkeypatch):
    answer = lora_tui("estimate", str(project), *FULL_SIZE, "--json")
    disk = answer.json["disk"]
    assert disk["lora_bytes"] == answer.json["lora_bytes"]
    assert disk["free_bytes"] > 0
    assert disk["cache_bytes"] > 0
    parts = disk["loras"] * disk["lora_bytes"] + disk["checkpoints"] * disk["checkpoint_bytes"]
    assert disk["most_bytes"] == parts + disk["cache_bytes"]
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3e9))
    said = lora_tui("estimate", str(project), *FULL_SIZE).out
    assert "checkpoints 4.6 GB, cache" in said
    assert "only 3.0 GB are free" in said


def test_without_pictures_nothing_is_said_of_the_disk(lora_tui, project):
    for path in project.glob("img/*/*"):
        path.unlink()
    assert lora_tui("estimate", str(project), *FULL_SIZE, "--json").json["disk"] is None
