"""Trainings that fail or are refused: in one sentence, and with every LoRA that was saved before left whole."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler

import engine.train.job as job_module
import engine.train.loop as loop_module
from engine.__main__ import main, work
from engine.lora import weights
from engine.plan.base_model import BaseModel
from engine.plan.errors import UserError
from engine.plan.option_values import is_plain_name, plain_name
from engine.runs.job import Job
from engine.runs.lock import RunLock
from engine.train.output import publish
from tests.training import Trained, Trainer, own_process, same


def one_sentence(run: Trained) -> str:
    """The message a run failed with, which must be no traceback."""
    message = run.end["message"]
    assert run.end["status"] == "failed"
    assert run.end["code"] != "internal", message
    assert "\n" not in message
    assert "Traceback" not in message
    return str(message)


# ------------------------------------------------------------------------------------------------------- out of numbers
@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_a_loss_or_gradient_that_is_no_number_ends_the_training(
    train: Trainer, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    original, count = loop_module.denoising_loss, 0

    def spoilt(predicted: torch.Tensor, *rest: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        loss = original(predicted, *rest)
        if count != 6:  # the last step of the second epoch
            return loss
        if broken == "loss":
            return loss * float("nan")
        return loss + (predicted - predicted.detach()).abs().sum().sqrt() * 0.0  # its value is 0, its gradient NaN

    monkeypatch.setattr(loop_module, "denoising_loss", spoilt)
    run = train(max_train_epochs=4)
    picture = r'\d\.png \("ohwx, a photo of a man, number \d"\)'
    assert re.search(rf"At step 6, with {picture}( and {picture})?, the {broken}", one_sentence(run))
    assert run.end["code"] == "loss-not-finite"
    assert "ohwx-000001.safetensors" in run.end["message"]
    assert run.files == ["ohwx-000001.safetensors"]
    whole = run.saved("ohwx-000001.safetensors")
    assert all(bool(torch.isfinite(t).all()) for t in whole.tensors.values())
    field = {"loss": "loss", "gradient": "grad_norm"}[broken]
    assert [e[field] is None for e in run.of("step")] == [False] * 5 + [True]


# ------------------------------------------------------------------------------------------------------------- refusals
def test_a_caption_that_is_not_utf8_is_refused_before_anything_is_loaded(train: Trainer) -> None:
    """The command refuses it already; it may have been written since, while the run waited in a queue."""
    project = train.project()
    (caption, *_) = sorted(project.rglob("img/*/*.txt"))
    caption.write_bytes(b"ohwx, caf\xe9")
    run = train(project)
    assert f"{caption.parent.name}/{caption.name} is not UTF-8 at byte 9" in one_sentence(run)
    assert (run.end["code"], run.code) == ("caption-not-utf8", 1)


def test_fp16_on_the_cpu_is_refused(train: Trainer) -> None:
    run = train(mixed_precision="fp16")
    assert "fp16 needs an NVIDIA GPU" in one_sentence(run)
    assert (run.end["code"], run.code) == ("bad-precision", 1)
    assert run.end["hint"]


def test_full_size_on_the_cpu_is_refused_unless_asked_for(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def recognise(name: str) -> BaseModel:
        return BaseModel("diffusers-folder", Path(name), "sdxl", "epsilon", 16)

    monkeypatch.setattr(job_module, "recognise", recognise)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    refused = train()
    assert "needs a GPU" in one_sentence(refused)
    assert refused.end["code"] == "no-gpu"
    assert "--device cpu" in refused.end["hint"]
    project = train.project()
    allowed = train.do(train.prepare(project, device="cpu"), project)
    assert allowed.end["status"] == "finished"


@pytest.mark.parametrize("device", ["cuda:7", "mps", "vulkan", "meta", "tpu9"])
def test_a_device_that_is_not_there_is_refused(train: Trainer, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    project = train.project()
    run = train.do(train.prepare(project, device=device), project)
    assert device in one_sentence(run)
    assert run.end["code"] in ("no-such-gpu", "bad-device")


def test_a_second_engine_on_the_same_run_is_refused(train: Trainer, plain: Trained) -> None:
    run = train.prepare(train.project())
    with RunLock.acquire(run), own_process(), pytest.raises(UserError) as error:
        work(run)
    assert error.value.code == "run-busy"
    assert not run.events_path.exists()


# ----------------------------------------------------------------------------------------------------------- full disks
def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["writing", "renaming", "publishing"])
def test_a_disk_that_fills_up_while_saving_leaves_earlier_loras_whole(
    train: Trainer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    original = weights.write

    def write(path: Path, *rest: Any) -> int:
        if path.name != "ohwx.safetensors":
            return original(path, *rest)
        with monkeypatch.context() as patched:
            if where == "writing":
                patched.setattr(os, "fsync", full)
            if where == "renaming":
                patched.setattr(os, "replace", full)
            if where == "publishing":
                monkeypatch.setattr(os, "link", full)
                monkeypatch.setattr("shutil.copyfile", full)
            return original(path, *rest)

    monkeypatch.setattr(weights, "write", write)
    run = train(max_train_epochs=2)
    assert "is full" in one_sentence(run)
    assert (run.end["code"], run.code) == ("disk-full", 1)
    assert run.files == ["ohwx-000001.safetensors"]
    assert len(run.saved("ohwx-000001.safetensors").stems) == 124
    kept = {path.name for path in run.run.output_dir.iterdir()}
    assert kept - {"ohwx.safetensors"} == {"ohwx-000001.safetensors"}  # and nothing half-written
    assert ("ohwx.safetensors" in kept) == (where == "publishing")


def test_a_disk_too_full_for_a_word_ends_the_engine_with_a_sentence(
    train: Trainer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train.prepare(train.project())
    original = os.write
    monkeypatch.setattr(
        os, "write", lambda fd, data: full() if b'"kind":"step"' in data or b'"end"' in data else original(fd, data)
    )
    monkeypatch.setattr(sys, "argv", ["engine", str(run.path)])
    with own_process():
        assert main() == 1
    said = capsys.readouterr().err
    assert "is full" in said
    assert "Traceback" not in said


# ------------------------------------------------------------------------------------------------------------- samples
@pytest.mark.parametrize("failing", ["engine.generate.sampler.Sampler.pictures", "engine.train.sampling.save_png"])
def test_samples_that_fail_are_a_warning_and_training_goes_on(
    train: Trainer, plain: Trained, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory\nwith details that fill the screen")

    monkeypatch.setattr(failing, fail)
    run = train(sample_every_n_steps=2, sample_prompts=("a --s 1",))
    assert (run.end["status"], run.code) == ("finished", 0)
    assert list(run.warnings) == ["sample-failed"]
    assert "step 2" in run.warnings["sample-failed"]
    assert "\n" not in run.warnings["sample-failed"]
    assert same(run.lora, plain.lora)
    assert not run.of("sample")
    assert [e["state"] for e in run.of("phase") if e["name"] == "sampling"][-1] == "end"


def test_neither_a_full_graphics_card_nor_a_broken_sampler_ends_a_training(
    train: Trainer, plain: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first there is no memory to decode with, in tiles or not, after one step the sampler breaks, and then there is
    enough for tiles."""
    decode, step, calls = AutoencoderKL.decode, EulerAncestralDiscreteScheduler.step, {"decode": 0, "step": 0}

    def decoding(vae: AutoencoderKL, *rest: Any, **options: Any) -> Any:
        calls["decode"] += 1
        if calls["decode"] <= 2 or not vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 GiB.\nand many details")
        return decode(vae, *rest, **options)

    def stepping(scheduler: EulerAncestralDiscreteScheduler, *rest: Any, **options: Any) -> Any:
        calls["step"] += 1
        if calls["step"] == 2:
            raise IndexError("index 3 is out of bounds")
        return step(scheduler, *rest, **options)

    monkeypatch.setattr(AutoencoderKL, "decode", decoding)
    monkeypatch.setattr(EulerAncestralDiscreteScheduler, "step", stepping)
    run = train(sample_at_first=True, sample_every_n_steps=1, sample_prompts=("a --s 1 --ss Euler a",))
    assert (run.end["status"], run.code) == ("finished", 0)
    messages = [event["message"] for event in run.of("warning") if event["code"] == "sample-failed"]
    assert [re.sub(".*at step ", "", message)[:2] for message in messages] == ["0 ", "1 "]
    assert "too little free memory" in messages[0]
    assert "out of bounds" in messages[1]
    assert [event["step"] for event in run.of("sample")] == [2, 3]
    assert [(event["step"], event["change"]) for event in run.of("oom")] == [(2, {"sample_tile": 32})]
    assert same(run.lora, plain.lora)


def test_a_sampler_without_its_package_is_a_warning(
    train: Trainer, plain: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.plan.samplers.find_spec", lambda name: None)
    run = train(sample_every_n_steps=3, sample_prompts=("a --s 1",), sample_sampler="LMS")
    assert (run.end["status"], run.code) == ("finished", 0)
    assert "scipy, which is not installed" in run.warnings["sample-failed"]
    assert same(run.lora, plain.lora)


# --------------------------------------------------------------------------------------------------------------- names
def test_a_lora_of_an_earlier_run_is_never_overwritten(train: Trainer) -> None:
    project = train.project()
    first = train(project)
    before = (project / "model" / "ohwx.safetensors").read_bytes()
    second = train(project, seed=8, max_train_epochs=2)
    assert first.files == ["ohwx-2-000001.safetensors", "ohwx-2.safetensors", "ohwx.safetensors"]
    assert (project / "model" / "ohwx.safetensors").read_bytes() == before
    assert "ohwx-2" in second.warnings["name-taken"]
    assert second.saved("ohwx-2.safetensors").metadata["ss_output_name"] == "ohwx-2"
    third = train(project, seed=9)
    assert "ohwx-3.safetensors" in third.files


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_during_the_run_is_not_overwritten_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links here")))
    own, model = tmp_path / "output" / "a.safetensors", tmp_path / "model"
    own.parent.mkdir()
    model.mkdir()
    own.write_bytes(b"own")
    (model / "a.safetensors").write_bytes(b"somebody's")
    assert publish(own, model, session_id=1) == model / "a-2.safetensors"
    assert (model / "a.safetensors").read_bytes() == b"somebody's"
    assert (model / "a-2.safetensors").read_bytes() == b"own"
    assert sorted(path.name for path in model.iterdir()) == ["a-2.safetensors", "a.safetensors"]


@pytest.mark.parametrize("name", ["../../../model/mine", "a/b", "caf\udce9", "..", "what?"])
def test_a_name_never_leads_out_of_the_runs_folder(name: str) -> None:
    assert is_plain_name(plain_name(name))


def test_a_kohya_folders_name_that_is_not_plain_names_a_lora_all_the_same(
    train: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.training.Job", lambda *values, **rest: Job(*values[:2], "../a?b", *values[3:], **rest))
    run = train()
    assert run.end["status"] == "finished"
    assert run.files == ["_a_b.safetensors"]


# ------------------------------------------------------------------------------------------------------ out of memory
def test_a_card_without_memory_left_is_no_fault_of_ours(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nSee documentation.")

    monkeypatch.setattr(loop_module, "denoising_loss", fail)
    run = train()
    assert "memory" in one_sentence(run)
    assert (run.end["code"], run.code) == ("out-of-memory", 1)
    assert run.end["hint"].startswith("Close other programs that use the graphics card, go on with smaller pictures (")
    assert not run.of("checkpoint")  # nothing was learnt yet


# ------------------------------------------------------------------------------------------------ the engine's own line
def test_an_engine_without_a_run_folder_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        monkeypatch.setattr(sys, "argv", ["engine", str(folder)])
        assert main() == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert str(folder) in said
    assert not list(tmp_path.iterdir())


def test_an_engine_for_a_run_that_is_at_work_says_so_in_one_line(
    train: Trainer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train.prepare(train.project())
    monkeypatch.setattr(sys, "argv", ["engine", str(run.path)])
    with RunLock.acquire(run):
        assert main() == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not run.events_path.exists()
