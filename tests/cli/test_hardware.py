"""What the commands say and refuse of the machine's GPUs, with GPUs that are not there."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from engine.plan import memory_note
from engine.plan.gpu_catalogue import named
from engine.plan.gpus import Found, Gpu
from engine.plan.project import Project
from engine.runs.folder import RunFolder, find
from engine.runs.state import observe
from lora_tui import hardware
from tests.cli.conftest import safetensors

GIB = 2**30
T4 = Gpu("Tesla T4", "cuda", 15 * GIB, 14 * GIB, (7, 5), False)
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", "cuda", 24 * GIB, 23 * GIB, (8, 6), True)
FULL_SIZE = {
    "model.diffusion_model.input_blocks.0.0.weight": [320, 4, 3, 3],
    "model.diffusion_model.input_blocks.8.1.transformer_blocks.9.norm1.weight": [4],
    "first_stage_model.decoder.conv_in.weight": [4],
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": [4],
    "conditioner.embedders.1.model.token_embedding.weight": [4],
}
"""The header of a base model that passes for full-size SDXL, as long as nobody loads it."""


@pytest.fixture
def full_size(project: Path, tmp_path: Path) -> Path:
    """The project with a base model of full size."""
    base = safetensors(
        tmp_path / "sdxl.safetensors",
        FULL_SIZE,
    )
    text = (
        (project / "project.toml").read_text().replace("base.safetensors", base.name).replace('preset = "demo"\n', "")
    )
    (project / "project.toml").write_text(text)
    return project


def machine(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu) -> None:
    monkeypatch.setattr(hardware, "_look", lambda: Found("cuda" if gpus else "cpu", gpus))
    monkeypatch.setattr(hardware, "_answers", [])


def codes(answer) -> set[str]:
    return {finding["code"] for finding in answer.json["warnings"]}


def test_check_says_what_does_not_fit_this_machine(lora_tui, full_size, monkeypatch):
    machine(monkeypatch, T4)
    answer = lora_tui("check", full_size, "--json")
    assert answer.code == 0
    (found,) = (finding for finding in answer.json["warnings"] if finding["code"] == "no-bf16")
    assert (found["option"], found["value"]) == ("mixed_precision", "fp16")
    machine(monkeypatch, RTX_3090)
    assert not codes(lora_tui("check", full_size, "--json")) & {"no-bf16", "no-gpu"}
    machine(monkeypatch)
    assert "no-gpu" in codes(lora_tui("check", full_size, "--json"))


def test_train_refuses_what_is_known_to_fail_here_until_it_is_accepted(lora_tui, full_size, monkeypatch, fake_engine):
    fake_engine(steps=2)
    machine(monkeypatch, T4)
    refused = lora_tui("train", full_size)
    assert refused.code == 1
    assert "Tesla T4 does not calculate in bf16" in refused.err
    assert "--accept-warnings" in refused.err
    assert len(refused.err.strip().splitlines()) <= 2
    assert lora_tui("train", full_size, "--accept-warnings").code == 0
    assert lora_tui("train", full_size, "--set", "mixed_precision=fp16").code == 0


@pytest.mark.parametrize("flags", [["--detach"], ["--dry-run"]])
def test_all_reasons_come_at_once(lora_tui, full_size, monkeypatch, flags):
    """--accept-warnings accepts them all, so that nobody may be asked for the first alone."""
    machine(monkeypatch, Gpu("RTX 2060", "cuda", 6 * GIB, 6 * GIB, (7, 5), False))
    refused = lora_tui("train", full_size, *flags)
    assert refused.code == 1
    assert "RTX 2060 does not calculate in bf16" in refused.err
    assert "and RTX 2060 has 6.0 GiB free" in refused.err
    assert refused.err.count("--accept-warnings") == 1
    assert "mixed_precision" in refused.err
    hard = lora_tui("train", full_size, *flags, "--set", "num_processes=2", "--accept-warnings")
    assert "num_processes 2 needs as many GPUs" in hard.err
    assert "bf16" not in hard.err


def test_another_device_is_judged_by_itself(lora_tui, full_size, monkeypatch, fake_engine):
    fake_engine(steps=2)
    machine(monkeypatch, RTX_3090, T4)
    assert lora_tui("train", full_size).code == 0
    assert "Tesla T4" in lora_tui("train", full_size, "--device", "cuda:1").err
    machine(monkeypatch)
    assert "needs a GPU" in lora_tui("train", full_size).err
    assert "needs a GPU" in lora_tui("queue", "add", full_size).err
    assert lora_tui("train", full_size, "--device", "cpu").code == 0


def test_the_queue_judges_by_what_a_card_has_when_nothing_else_runs(lora_tui, full_size, monkeypatch):
    """What a training at work has taken is free again when the next one has its turn."""
    busy = replace(RTX_3090, free_bytes=2 * GIB)
    machine(monkeypatch, busy)
    assert "2.0 GiB of its 24.0 GiB free" in lora_tui("train", full_size).err
    added = lora_tui("queue", "add", full_size)
    assert added.code == 0
    assert "GiB" not in added.err
    machine(monkeypatch, replace(busy, total_bytes=6 * GIB))
    refused = lora_tui("queue", "add", full_size)
    assert refused.code == 1
    assert "RTX 3090 has 6.0 GiB." in refused.err
    assert "--accept-warnings" in refused.err


def test_a_note_of_another_card_keeps_nobody_from_training(lora_tui, full_size, monkeypatch):
    project = Project.open(full_size)
    memory_note.keep(project, project.resolved(), {"did_not_fit": True}, "NVIDIA GeForce RTX 3090 (cuda:1)", 24 * GIB)
    machine(monkeypatch, RTX_3090)
    assert "ran out of memory on NVIDIA GeForce RTX 3090" in lora_tui("queue", "add", full_size).err
    machine(monkeypatch, replace(RTX_3090, name="NVIDIA H100 80GB HBM3", total_bytes=80 * GIB))
    assert "ran out of memory" not in lora_tui("check", full_size).out
    assert lora_tui("queue", "add", full_size).code == 0


def test_the_practice_model_runs_anywhere(lora_tui, project, monkeypatch):
    machine(monkeypatch, T4)
    assert not codes(lora_tui("check", project, "--json")) & {"no-bf16", "no-gpu", "old-gpu"}


def test_a_planned_gpu_is_judged_and_this_machine_only_where_nothing_could_start(lora_tui, full_size, monkeypatch):
    hardware.plan_for(named("V100 16"))
    machine(monkeypatch, RTX_3090)
    answer = lora_tui("check", full_size, "--json")
    assert {"no-bf16", "old-gpu"} <= codes(answer)
    assert not [f for f in answer.json["warnings"] if "RTX 3090" in f["message"]]
    machine(monkeypatch)
    assert {"no-bf16", "no-gpu"} <= codes(lora_tui("check", full_size, "--json"))
    hardware.plan_for(None)
    machine(monkeypatch, RTX_3090)
    assert "no-bf16" not in codes(lora_tui("check", full_size, "--json"))


def test_before_a_base_model_is_chosen_the_gpu_is_judged_as_for_a_full_size_one(lora_tui, full_size, monkeypatch):
    """As `estimate` and the memory page have it, which send to what is marked there."""
    project = full_size
    text = (project / "project.toml").read_text()
    (project / "project.toml").write_text(re.sub("(?m)^pretrained_model_name_or_path.*$", "", text))
    machine(monkeypatch, T4)
    assert "no-bf16" in codes(lora_tui("check", project, "--json"))
    machine(monkeypatch)
    assert "no-gpu" not in codes(lora_tui("check", project, "--json"))


def test_a_look_that_breaks_keeps_nobody_from_training(lora_tui, full_size, monkeypatch):
    def broken() -> Found:
        raise OSError("who would have thought")

    monkeypatch.setattr(hardware, "_look", broken)
    monkeypatch.setattr(hardware, "_answers", [])
    assert lora_tui("check", full_size, "--json").code == 0


# ------------------------------------------------------------------------------------------------ a run that goes on
@pytest.fixture
def died(lora_tui, full_size, monkeypatch, fake_engine) -> RunFolder:
    """A training that was killed at its fourth step, on a GPU that could do it."""
    machine(monkeypatch, RTX_3090)
    fake_engine(steps=6, crash_at=4, resumes=True)
    assert lora_tui("train", full_size).code == 1
    fake_engine(steps=6, resumes=True)
    return find("last", full_size)


@pytest.mark.parametrize("words", [("train", "--resume"), ("resume",)])
def test_a_run_that_goes_on_is_held_against_the_machine_as_a_new_one_is(lora_tui, died, monkeypatch, words):
    machine(monkeypatch, T4)
    command, *flags = words
    more = ("--set", "max_train_epochs=3")
    refused = lora_tui(command, died.path, *flags, *more)
    assert refused.code == 1
    assert "Tesla T4 does not calculate in bf16" in refused.err
    assert "settings cannot change" in refused.err
    assert "--accept-warnings" in refused.err
    assert observe(died).state == "died"
    assert died.job_number == 1  # what was to change has not been written either
    assert lora_tui(command, died.path, *flags, *more, "--accept-warnings").code == 0
    assert died.job_number == 2


def test_where_it_fits_as_before_a_run_goes_on_without_a_word(lora_tui, died):
    answer = lora_tui("train", died.path, "--resume", "--json")
    assert (answer.code, answer.json["step"]) == (0, 6)


def test_memory_that_somebody_else_has_taken_is_told_before_a_run_goes_on(lora_tui, died, monkeypatch):
    machine(monkeypatch, replace(RTX_3090, free_bytes=2 * GIB))
    refused = lora_tui("resume", died.path)
    assert "2.0 GiB of its 24.0 GiB free" in refused.err
    assert "Close what takes the GPU's memory" in refused.err
    # It has come to need less on its way, and nobody knows how much less.
    oom = {"v": 1, "seq": 99, "time": 1.0, "kind": "oom", "step": 3, "message": "…", "change": {"batch_size": 1}}
    with died.events_path.open("a") as events:
        events.write(json.dumps(oom) + "\n")
    assert lora_tui("resume", died.path).code == 0


def test_all_that_fails_is_told_at_once_before_a_run_goes_on(lora_tui, died, monkeypatch):
    machine(monkeypatch, replace(T4, free_bytes=2 * GIB))
    refused = lora_tui("resume", died.path)
    assert "Tesla T4 does not calculate in bf16" in refused.err
    assert "2.0 GiB of its" in refused.err
    assert refused.err.count("settings cannot change") == refused.err.count("Close what takes") == 1


def test_a_run_that_goes_on_where_there_is_no_gpu(lora_tui, died, monkeypatch):
    machine(monkeypatch)
    assert "needs a GPU" in lora_tui("train", died.path, "--resume").err
    assert lora_tui("train", died.path, "--resume", "--device", "cpu").code == 0


def test_a_training_that_does_not_fit_is_refused_with_where_the_changes_stand(lora_tui, full_size, monkeypatch):
    machine(monkeypatch, Gpu("NVIDIA GeForce RTX 4060", "cuda", 8 * GIB, 7 * GIB, (8, 9), True))
    refused = lora_tui("train", full_size)
    assert "RTX 4060 has 7.0 GiB free" in refused.err
    assert "With the changes that lora-tui estimate lists it needs" in refused.err


SHAPES = [(1024, 1024)] * 4 + [(1216, 832), (832, 1216), (1152, 896), (896, 1152)] * 2


def test_a_training_is_not_refused_for_batches_that_cannot_occur(lora_tui, full_size, monkeypatch, fake_engine):
    """Twelve pictures in five shapes, the guide's settings and a batch of 8: no batch has more than 4."""
    fake_engine(steps=2)
    shutil.rmtree(full_size / "reg")
    folder = full_size / "img" / "2_zibo man"
    for path in folder.iterdir():
        path.unlink()
    for number, size in enumerate(SHAPES):
        Image.new("RGB", size, (number * 20, 80, 120)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("zibo, a photo of a man")
    folder.rename(folder.with_name("1_zibo man"))
    machine(monkeypatch, Gpu("NVIDIA GeForce RTX 4080", "cuda", 16 * GIB, 16 * GIB, (8, 9), True))
    eight = ("--set", "train_batch_size=8")
    assert lora_tui("train", full_size, *eight).code == 0
    few = "Batches have at most 4 pictures, as no shape has more."
    assert few in lora_tui("estimate", full_size, *eight).out
    machine(monkeypatch, Gpu("NVIDIA GeForce RTX 4070", "cuda", 12 * GIB, 12 * GIB, (8, 9), True))
    refused = lora_tui("train", full_size, *eight)
    assert refused.code == 1
    assert few in refused.err
