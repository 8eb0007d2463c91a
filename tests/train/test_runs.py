"""Whole runs: the same again, from start to end and in the log, and stopped in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import engine.train.job as job_module
import engine.train.loop as loop_module
import engine.train.parts as parts_module
from engine.runs import control
from engine.runs.events import read_all
from tests.training import Trained, Trainer, ask_to_stop, same


# -------------------------------------------------------------------------------------------------------- a whole run
def test_two_runs_give_the_same_lora_to_the_bit_with_a_cold_and_with_a_warm_cache(
    train: Trainer, plain: Trained, tmp_path: Path
) -> None:
    cold = Trainer(train.base, tmp_path / "projects", tmp_path / "cache")
    cold.root.mkdir()
    cold.cache.mkdir()
    first, second = cold(), cold()
    assert first.losses == second.losses == plain.losses
    assert same(first.lora, second.lora)
    assert same(first.lora, plain.lora)


def test_step_events_are_contiguous_and_end_where_the_plan_says(train: Trainer) -> None:
    run = train(max_train_epochs=3, reg=True, train_batch_size=3, gradient_accumulation_steps=2)
    steps = run.of("step")
    total = run.of("job")[0]["total_steps"]
    assert [e["step"] for e in steps] == list(range(1, total + 1))
    per_epoch = total // 3
    assert [(e["epoch"], e["epoch_step"]) for e in steps] == [
        (epoch, step) for epoch in (1, 2, 3) for step in range(1, per_epoch + 1)
    ]
    assert all(0 < e["loss"] < 100 and e["grad_norm"] > 0 and e["seconds"] > 0 for e in steps)
    assert [e["seq"] for e in run.events] == list(range(1, len(run.events) + 1))
    assert run.end["status"] == "finished"
    assert run.code == 0
    assert not run.warnings
    phases = [(e["name"], e["state"]) for e in run.of("phase") if e["state"] != "progress"]
    assert all(phases.count((name, "start")) == phases.count((name, "end")) == 1 for name, _ in phases)
    assert phases[-2:] == [("training", "start"), ("training", "end")]


def test_finished_loras_in_model_are_those_of_the_run(plain: Trained) -> None:
    shown, own = plain.project / "model" / "ohwx.safetensors", plain.run.output_dir / "ohwx.safetensors"
    assert shown.read_bytes() == own.read_bytes()
    assert plain.of("saved")[-1]["bytes"] == own.stat().st_size
    assert not [path for path in plain.project.rglob("*") if path.name.endswith(".tmp")]


def test_the_pictures_are_as_they_were(train: Trainer) -> None:
    project = train.project(reg=True)

    def facts() -> dict[str, tuple[bytes, int]]:
        files = [path for name in ("img", "reg") for path in (project / name).rglob("*") if path.is_file()]
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    before = facts()
    train(project)
    assert facts() == before


# ------------------------------------------------------------------------------------------------------------ stopping
def test_sigterm_to_a_real_engine_saves_what_there_is(train: Trainer) -> None:
    project = train.project()
    run = train.prepare(project, max_train_epochs=2000, save_every_n_epochs=0)
    root = str(Path(job_module.__file__).parents[2])
    engine = subprocess.Popen(
        [sys.executable, "-m", "engine", str(run.path)],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    )
    while engine.poll() is None and not any(e["kind"] == "step" for e in read_all(run.events_path)):
        time.sleep(0.1)
    engine.send_signal(signal.SIGTERM)
    _, said = engine.communicate()
    result = Trained(run, project, engine.returncode, tuple(read_all(run.events_path)))
    assert result.code == 3, said.decode()
    assert result.end["status"] == "stopped"
    last = result.of("step")[-1]["step"]
    assert 0 < last < 6000
    epoch, rest = divmod(last, 3)
    assert result.files == [f"ohwx-step{last:08d}.safetensors" if rest else f"ohwx-{epoch:06d}.safetensors"]
    lora = result.saved(result.files[0])
    assert lora.metadata["ss_steps"] == str(last)
    assert lora.metadata["ss_epoch"] == str(last // 3)  # epochs that are complete
    assert any(t.any() for name, t in lora.tensors.items() if "lora_up" in name)
    assert f"step {last} of 6000" in result.end["message"]


def test_a_stop_at_the_end_of_an_epoch_saves_no_second_copy(train: Trainer, before_call: Callable[..., None]) -> None:
    before_call(loop_module, "train_step", {3: ask_to_stop})
    run = train(max_train_epochs=3)
    assert (run.end["status"], run.code) == ("stopped", 3)
    assert run.files == ["ohwx-000001.safetensors"]


def test_a_stop_in_the_last_step_is_a_finished_training(train: Trainer, before_call: Callable[..., None]) -> None:
    before_call(loop_module, "train_step", {3: ask_to_stop})
    run = train()
    assert (run.end["status"], run.code) == ("finished", 0)
    assert run.files == ["ohwx.safetensors"]


def test_a_stop_before_the_first_step_leaves_no_lora(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    project = train.project()
    run = train.prepare(project)
    original = parts_module.attach

    def attach_and_ask(*arguments: Any, **named: Any) -> Any:
        control.send(run, "stop")
        return original(*arguments, **named)

    monkeypatch.setattr(parts_module, "attach", attach_and_ask)
    result = train.do(run, project)
    assert (result.end["status"], result.code) == ("stopped", 3)
    assert not result.files
    assert not list(run.output_dir.iterdir())
    assert [(e["command"], e["result"]) for e in result.of("command")] == [("stop", "done")]
    assert not list(run.control_dir.iterdir())
