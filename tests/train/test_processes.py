"""Two real processes on this machine's processor train the LoRA that one trains with twice the batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from engine.context import JobContext
from engine.plan.project import Project
from engine.runs import resume
from engine.runs.control import send
from engine.runs.events import EventWriter, read_all
from engine.runs.folder import RunFolder
from engine.runs.launch import launch
from engine.train import companions
from engine.train.leftovers import clean_up
from engine.train.processes import Processes
from tests.training import Trained, Trainer, apart, ask_to_stop, same

TWO: dict[str, Any] = {"num_processes": 2, "train_batch_size": 1, "max_train_epochs": 2}
ONE: dict[str, Any] = {"num_processes": 1, "train_batch_size": 2, "max_train_epochs": 2}
EVERYTHING: dict[str, Any] = {
    "noise_offset": 0.1,
    "multires_noise_iterations": 3,
    "caption_dropout_rate": 0.3,
    "network_dropout": 0.2,
    "rank_dropout": 0.2,
    "module_dropout": 0.2,
    "flip_aug": True,
    "min_snr_gamma": 5.0,
    "gradient_accumulation_steps": 2,
    "scale_weight_norms": 1.0,
    "use_ema": True,
    "diff_output_preservation_multiplier": 1.0,
    "validation_split": 0.25,
}


def finished(run: Trained) -> Trained:
    assert run.end["status"] == "finished", run.end
    return run


def test_option_num_processes(train: Trainer) -> None:
    """Two processes with a batch of 1 are one with a batch of 2, and only the first one saves, draws and reports."""
    more = EVERYTHING | {"sample_every_n_steps": 2, "checkpoint_every_n_steps": 2}
    two, one = finished(train(repeats=2, **TWO | more)), finished(train(repeats=2, **ONE | more))
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    assert apart(two.lora, one.lora) < 1e-4
    assert two.lora.metadata["ss_total_batch_size"] == one.lora.metadata["ss_total_batch_size"] == "4"
    assert told(two) == told(one)
    assert made(two) == made(one)
    validated = [[event["loss"] for event in run.of("validation")] for run in (two, one)]
    assert len(validated[0]) == 2
    assert validated[0] == pytest.approx(validated[1], rel=1e-5)


@pytest.fixture(scope="module")
def two(train: Trainer) -> Trained:
    return finished(train(**TWO))


@pytest.mark.proof
def test_a_batch_that_cannot_be_shared_evenly_counts_each_picture_once(train: Trainer, two: Trained) -> None:
    """Three pictures of one shape and one of another in batches of 2: two of the three batches have one sample."""
    one = finished(train(**ONE))
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    assert apart(two.lora, one.lora) < 1e-4


@pytest.mark.proof
def test_resumed_with_two_processes_it_equals_the_undisturbed_one(train: Trainer, two: Trained) -> None:
    project = train.project()
    run = train.prepare(project, **TWO)
    stop_after(run.events_path, 2, lambda: pause_and_stop(run))
    stopped = train.do(run, project)
    assert stopped.end["status"] == "stopped", stopped.end
    assert "keeps their memory" in stopped.of("command")[0]["message"]
    assert not others()
    resume.prepare(run)
    resumed = finished(train.do(run, project))
    assert same(resumed.lora, two.lora)


def test_a_killed_second_process_ends_the_run_with_a_clear_line_and_nothing_lost(train: Trainer) -> None:
    project = train.project()
    values = TWO | {"max_train_epochs": 50, "checkpoint_every_n_steps": 0}
    run = train.prepare(project, **values)
    stop_after(run.events_path, 3, kill_the_second)
    ended = train.do(run, project)
    assert (ended.end["status"], ended.end["code"]) == ("failed", "process-lost"), ended.end
    assert "Process 2 of 2 ended in the middle of the training (killed by SIGKILL)" in ended.end["message"]
    last = ended.of("step")[-1]["step"]
    assert [e["step"] for e in ended.of("checkpoint")] == [last], "the last whole step is kept"
    assert not others()


@pytest.mark.proof
def test_an_engine_that_does_not_notice_is_ended(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on GPUs, where the first process may wait for ever for what the lost one should have sent."""
    codes: list[int] = []
    gone = threading.Event()

    def exits(code: int) -> None:
        codes.append(code)
        gone.set()

    monkeypatch.setattr(companions, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(companions.os, "_exit", exits)
    project = train.project()
    run = train.prepare(project, **TWO | {"max_train_epochs": 50})
    stop_after(run.events_path, 1, kill_the_second)
    ended = train.do(run, project)
    assert gone.wait(30)
    assert codes == [1]
    assert "process-lost" in [e.get("code") for e in ended.of("end")]


@pytest.mark.proof
def test_others_end_with_the_engine(train: Trainer) -> None:
    project = train.project()
    run = train.prepare(project, **TWO | {"max_train_epochs": 500})
    pid = launch(run)
    wait_for(lambda: any(e["kind"] == "step" for e in read_all(run.events_path)))
    (second,) = psutil.Process(pid).children()
    (met,) = run.path.glob(".rendezvous-*")
    os.kill(pid, signal.SIGKILL)
    second.wait(30)
    assert met.exists(), "nobody was left to remove it"
    clean_up(run, Project.open(project))
    assert not met.exists()


def test_where_processes_meet_is_new_for_each_start_and_gone_after_it(
    train: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def meet(rendezvous: Path, *rest: Any) -> Processes:
        seen.append(rendezvous)
        rendezvous.touch()
        return Processes(0, 2)

    monkeypatch.setattr(companions, "meet", meet)
    monkeypatch.setattr(
        companions, "_start", lambda *a: subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    )
    run = train.prepare(train.project(), **TWO)
    context = JobContext(run, run.job, EventWriter(run.events_path))
    for _ in range(2):
        with companions.together(context, 2, torch.device("cpu")):
            assert seen[-1].parent == run.path
    assert len(set(seen)) == 2
    assert not [path for path in seen if path.exists()]


def test_too_many_gpus_are_refused(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    ended = train(**TWO)
    assert ended.end["code"] == "no-such-gpu"
    assert "num_processes = 2" in ended.end["message"]


@pytest.mark.parametrize(("count", "batch"), [(1, 3), (2, 4), (2, 3), (3, 4), (4, 2), (3, 1)])
def test_parts_make_up_the_batch(count: int, batch: int) -> None:
    whole = list(range(10, 10 + batch))
    parts = [Processes(number, count).own_part(whole) for number in range(count)]
    counted = [(begin, own, share) for begin, own, share in parts if share]
    assert [index for _, own, _ in counted for index in own] == whole
    assert [begin for begin, own, _ in counted] == [whole.index(own[0]) for _, own, _ in counted]
    assert sum(share for *_, share in parts) == pytest.approx(1.0)
    assert all(own for _, own, _ in parts), "every process has something to compute"


# ------------------------------------------------------------------------------------------------ what happens beside
def told(run: Trained) -> list[tuple[str, object]]:
    """The events in their order, without those that come by the clock."""
    return [(e["kind"], e.get("step")) for e in run.events if e["kind"] not in ("heartbeat", "phase")]


def made(run: Trained) -> list[str]:
    folders = (run.run.output_dir, run.run.samples_dir, run.run.path / "checkpoints")
    return sorted(str(path.relative_to(run.run.path)) for folder in folders for path in folder.rglob("*"))


def stop_after(events: Path, step: int, act: Any) -> None:
    """Do `act` from another thread once `step` is in the log."""

    def watch() -> None:
        wait_for(lambda: any(e["kind"] == "step" and e["step"] >= step for e in read_all(events)))
        act()

    threading.Thread(target=watch, daemon=True).start()


def pause_and_stop(run: RunFolder) -> None:
    """The others wait meanwhile for the first one's word."""
    send(run, "pause", release_memory=True)
    wait_for(lambda: any(e["kind"] == "paused" for e in read_all(run.events_path)))
    ask_to_stop()


def others() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "engine.train.companion" in command_of(p)]


def command_of(process: psutil.Process) -> str:
    """ "" for one that has ended: other tests of this process leave some."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill_the_second() -> None:
    others()[0].kill()


def wait_for(true: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
