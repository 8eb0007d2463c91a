"""What people ask of a running training: obeyed within a step, answered once, and without a trace in the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import engine.generate.sampler as sampler_module
import engine.train.commands as commands_module
import engine.train.job as job_module
import engine.train.loop as loop_module
import engine.train.state as state_module
from engine.plan.files import atomic_write
from engine.runs import control
from engine.runs.checkpoints import list_checkpoints
from engine.runs.events import read_all
from engine.runs.fold import fold
from engine.runs.folder import RunFolder
from engine.train.parking import Parking
from tests.training import Trained, Trainer, same

SMALL_SAMPLE = "a man --w 64 --h 64 --s 2"
LONG: dict[str, Any] = {"max_train_epochs": 3, "sample_prompts": (SMALL_SAMPLE,), "checkpoint_every_n_steps": 0}


@pytest.fixture(scope="module")
def undisturbed(train: Trainer) -> Trained:
    return train(**LONG)


@pytest.fixture
def while_paused(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterator[Callable[[], object]]], None]:
    """What happens during a pause: the next action each time the engine waits."""

    def arrange(actions: Iterator[Callable[[], object]]) -> None:
        class Clock:
            @staticmethod
            def sleep(seconds: float) -> None:
                next(actions)()

        monkeypatch.setattr(commands_module, "time", Clock)

    return arrange


def answers(run: Trained) -> list[tuple[str, str]]:
    return [(e["command"], e["result"]) for e in run.of("command")]


def messages(run: Trained) -> list[str]:
    return [e["message"] for e in run.of("command")]


def all_answered(run: Trained) -> bool:
    return not list(run.run.control_dir.iterdir())


# ---------------------------------------------------------------------------------------------------------- pausing
def test_a_pause_with_everything_asked_twice_leaves_the_result_as_it_is(
    train: Trainer, undisturbed: Trained, before_call: Any, while_paused: Any
) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)

    def ask(command: str, **arguments: object) -> Callable[[], object]:
        return lambda: control.send(run, command, **arguments)

    before_call(loop_module, "train_step", {4: lambda: [ask("pause")(), ask("pause")()]})
    while_paused(
        iter(
            [
                ask("checkpoint"),
                ask("sample", prompt=SMALL_SAMPLE),
                ask("stop-after-epoch"),
                ask("stop-after-epoch"),
                lambda: None,
                lambda: [ask("resume")(), ask("resume")()],
            ]
        )
    )
    paused = train.do(run, project)
    assert answers(paused) == [
        ("pause", "done"),
        ("pause", "done"),
        ("checkpoint", "done"),
        ("sample", "done"),
        ("stop-after-epoch", "done"),
        ("stop-after-epoch", "done"),
        ("resume", "done"),
        ("resume", "done"),
    ]
    assert all_answered(paused)
    assert [(e["step"], e["released"]) for e in paused.of("paused")] == [(4, False)]
    assert [e["from_step"] for e in paused.of("resumed")] == [4]
    assert [e["step"] for e in paused.of("checkpoint")] == [4, 6]
    assert (paused.end["status"], paused.code) == ("stopped", 3)  # after the epoch, as asked
    assert paused.of("step")[-1]["step"] == 6
    whole = train.do(run, project)
    assert same(whole.lora, undisturbed.lora)
    assert [e["loss_avg"] for e in whole.of("step")] == [e["loss_avg"] for e in undisturbed.of("step")]


def test_a_stop_ends_a_pause_and_what_was_trained_is_saved(
    train: Trainer, undisturbed: Trained, before_call: Any, while_paused: Any
) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)
    before_call(loop_module, "train_step", {2: lambda: control.send(run, "pause", release_memory=True)})
    while_paused(iter([lambda: [control.send(run, "stop"), control.send(run, "stop")]]))
    stopped = train.do(run, project)
    assert answers(stopped) == [("pause", "done"), ("stop", "done"), ("stop", "done")]
    assert "everything is saved" in messages(stopped)[-1]
    assert stopped.end["status"] == "stopped"
    assert stopped.files == ["ohwx-step00000002.safetensors"]
    assert same(train.do(run, project).lora, undisturbed.lora)


def test_what_is_parked_comes_back_under_every_view() -> None:
    flat = torch.arange(24.0)
    view, other, untouched = flat[6:12].view(2, 3), torch.ones(5, dtype=torch.bfloat16), torch.ones(2)
    parking = Parking(lambda: [flat, view, other], devices=("cpu",))
    parking.release()
    parking.release()
    assert parking.released
    assert parking.bytes == 24 * 4 + 5 * 2
    assert flat.untyped_storage().nbytes() == other.untyped_storage().nbytes() == 0
    assert untouched.sum() == 2
    parking.restore()
    assert not parking.released
    assert torch.equal(view, torch.arange(6.0, 12.0).view(2, 3))
    assert torch.equal(flat, torch.arange(24.0))
    assert torch.equal(other, torch.ones(5, dtype=torch.bfloat16))
    view += 1
    assert flat[6] == 7


def test_a_training_whose_memory_was_given_back_computes_the_same(
    train: Trainer, undisturbed: Trained, before_call: Any, while_paused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU there is no GPU memory, so here the CPU's own is parked: the code is the same."""
    monkeypatch.setattr(commands_module, "Parking", lambda tensors: Parking(tensors, devices=("cpu",)))
    project = train.project()
    run = train.prepare(project, **LONG)
    before_call(loop_module, "train_step", {5: lambda: control.send(run, "pause", release_memory=True)})
    while_paused(
        iter(
            [
                lambda: control.send(run, "sample"),
                lambda: control.send(run, "checkpoint"),
                lambda: control.send(run, "resume"),
            ]
        )
    )
    paused = train.do(run, project)
    assert answers(paused) == [("pause", "done"), ("sample", "refused"), ("checkpoint", "done"), ("resume", "done")]
    assert "GiB of GPU memory" in messages(paused)[0]
    assert [e["released"] for e in paused.of("paused")] == [True]
    assert same(paused.lora, undisturbed.lora)


# ---------------------------------------------------------------------------------------------------------- samples
def test_samples_on_request_are_made_at_once_and_change_nothing(
    train: Trainer, undisturbed: Trained, before_call: Any
) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)

    def ask() -> None:
        control.send(run, "sample")
        control.send(run, "sample", prompt=f"a [red]\x1b[31m man {SMALL_SAMPLE[5:]}", seed=5)
        control.send(run, "sample", prompt="a man --zz 3")
        control.send(run, "sample", prompt=["a"])
        control.send(run, "sample", prompt="a man", seed=True)
        control.send(run, "sample", seed=-1)

    before_call(loop_module, "train_step", {3: ask})
    sampled = train.do(run, project)
    assert [result for _, result in answers(sampled)] == ["done", "done", "refused", "refused", "refused", "refused"]
    assert "--zz" in messages(sampled)[2]
    assert [(e["step"], e["seed"], e["asked"]) for e in sampled.of("sample")] == [(3, 7, True), (3, 5, True)]
    for event in sampled.of("sample"):
        assert event["path"].startswith("samples/step00000003_asked_")
        with Image.open(run.path / event["path"]) as picture:
            assert picture.size == (64, 64)
    assert same(sampled.lora, undisturbed.lora)


@pytest.mark.parametrize("during", ["sampling", "saving"])
def test_commands_while_the_engine_samples_or_saves(
    train: Trainer, undisturbed: Trained, before_call: Any, while_paused: Any, during: str
) -> None:
    project = train.project()
    run = train.prepare(project, **LONG | {"sample_every_n_steps": 4, "checkpoint_every_n_steps": 4})

    def ask() -> None:
        for command in ("pause", "checkpoint", "stop-after-epoch", "pause"):
            control.send(run, command)

    moment = (sampler_module.Sampler, "_decoded") if during == "sampling" else (state_module, "_save")
    before_call(*moment, {1: ask})
    while_paused(iter([lambda: control.send(run, "resume")]))
    stopped = train.do(run, project)
    assert [command for command, _ in answers(stopped)] == [
        "pause",
        "checkpoint",
        "stop-after-epoch",
        "pause",
        "resume",
    ]
    assert {result for _, result in answers(stopped)} == {"done"}
    assert [e["step"] for e in stopped.of("paused")] == [4]
    assert stopped.of("step")[-1]["step"] == 6
    assert [c.step for c in list_checkpoints(run)] == [4, 6]
    assert same(train.do(run, project).lora, undisturbed.lora)


def test_a_stop_while_sampling_leaves_the_picture_to_the_next_engine(train: Trainer, before_call: Any) -> None:
    project = train.project()
    run = train.prepare(
        project, **LONG | {"sample_every_n_steps": 4, "sample_prompts": ("a man --w 64 --h 64 --s 60",)}
    )
    before_call(sampler_module.Sampler, "_latents", {1: lambda: control.send(run, "stop")})
    stopped = train.do(run, project)
    assert stopped.end["status"] == "stopped"
    assert not stopped.of("sample")
    assert [c.step for c in list_checkpoints(run)] == [4]
    whole = train.do(run, project)
    assert [e["step"] for e in whole.of("sample")] == [4, 8]


# --------------------------------------------------------------------------------------------- too early, too late, odd
def test_commands_before_the_first_step(
    train: Trainer, before_call: Any, while_paused: Any, undisturbed: Trained
) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)

    def ask() -> None:
        for command in ("checkpoint", "resume", "pause"):
            control.send(run, command)

    before_call(job_module, "make_network", {1: ask})
    while_paused(iter([lambda: control.send(run, "resume")]))
    whole = train.do(run, project)
    assert answers(whole) == [("checkpoint", "ignored"), ("resume", "done"), ("pause", "done"), ("resume", "done")]
    assert [e["step"] for e in whole.of("paused")] == [0]
    assert same(whole.lora, undisturbed.lora)


def test_a_command_that_comes_too_late_is_answered(train: Trainer, before_call: Any) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)
    before_call(loop_module, "after_step", {9: lambda: control.send(run, "sample")})
    assert answers(train.do(run, project)) == [("sample", "ignored")]


def test_old_commands_are_ignored_and_new_ones_obeyed_also_when_the_clock_went_back(
    train: Trainer, before_call: Any
) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)
    control.send(run, "stop")  # before the engine started

    def from_the_past() -> None:
        body = {"v": 1, "id": "5-1", "command": "stop-after-epoch"}
        atomic_write(run.control_dir / "5-1.json", json.dumps(body))

    before_call(loop_module, "train_step", {2: from_the_past})
    ended = train.do(run, project)
    assert answers(ended) == [("stop", "ignored"), ("stop-after-epoch", "done")]
    assert ended.of("step")[-1]["step"] == 3


def test_nonsense_in_control_is_refused_and_never_stops_a_training(
    train: Trainer, before_call: Any, undisturbed: Trained
) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)

    def litter() -> None:
        for name, content in {
            "1-1.json": b"\x00\xff",
            "2-1.json": b"[" * 100_000,
            "3-1.json": b'{"v": 1, "command": "sample", "prompt": {"a": 1}}',
            "4-\x1b[31m.json": b'{"v": 1, "command": "dance"}',
            "x.json": b'{"v": 1, "command": "pause"}',
            "notes.txt": b"hello",
        }.items():
            (run.control_dir / name).write_bytes(content)
        (run.control_dir / "5-1.json").mkdir()

    before_call(loop_module, "train_step", {2: litter})
    ended = train.do(run, project)
    assert {result for _, result in answers(ended)} == {"refused"}
    assert not any("\x1b" in message for message in messages(ended))
    assert same(ended.lora, undisturbed.lora)


def test_a_pause_is_told_to_readers(train: Trainer, before_call: Any, while_paused: Any) -> None:
    project = train.project()
    run = train.prepare(project, **LONG)
    seen = []

    def look() -> None:
        seen.append(fold(read_all(RunFolder(run.path).events_path)).paused)
        control.send(run, "resume")

    before_call(loop_module, "train_step", {2: lambda: control.send(run, "pause")})
    while_paused(iter([look]))
    train.do(run, project)
    assert seen == [True]
    assert not fold(read_all(run.events_path)).paused
    assert Path(run.control_dir).is_dir()
