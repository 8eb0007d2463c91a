"""`pause`, `resume`, `stop`, `stop-after-epoch`, `checkpoint` and `sample`, with a fake engine in its own process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from engine.runs.folder import RunFolder, create, find, list_runs
from engine.runs.job import Job
from engine.runs.lock import RunLock, look
from engine.runs.state import observe
from lora_tui import recent
from lora_tui.commands import control


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def running(lora_tui, project, fake_engine, monkeypatch) -> Iterator[RunFolder]:
    """A run at work that would take a minute; the current folder is its project."""
    fake_engine(steps=3000, step_seconds=0.02)
    assert lora_tui("train", project, "--detach").code == 0
    monkeypatch.chdir(project)
    run = find("last", project)
    yield run
    if (lock := look(run)).status == "held":
        os.kill(lock.pid, signal.SIGKILL)


def test_pause_and_resume(lora_tui, running):
    answer = lora_tui("pause", "last", "--json")
    assert answer.code == 0
    assert {key: answer.json[key] for key in ("run", "command", "result")} == {
        "run": str(running.path),
        "command": "pause",
        "result": "done",
    }
    assert answer.json["message"].startswith("Paused after step")
    assert answer.json["id"] in observe(running).snapshot.answers
    assert observe(running).state == "paused"
    again = lora_tui("pause", "--json")  # safe when sent twice
    assert (again.code, again.json["result"]) == (0, "ignored")
    assert lora_tui("resume", "last").out == "Going on.\n"
    assert observe(running).state == "training"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["checkpoint"], "checkpoint at step"),
        (["sample"], "sample at step"),
        (["sample", "--prompt", "zibo, im Regen, ü", "--seed", "7"], '"prompt": "zibo, im Regen, \\u00fc", "seed": 7'),
    ],
)
def test_checkpoint_and_sample(lora_tui, running, arguments, said):
    answer = lora_tui(*arguments)
    assert answer.code == 0
    assert said in answer.out


def test_the_gpu_memory_is_released_on_request(lora_tui, running):
    assert lora_tui("pause", "--release-memory").code == 0
    assert '"released":true' in running.events_path.read_text()


@pytest.mark.parametrize("command", ["stop", "stop-after-epoch"])
def test_stop(lora_tui, running, command):
    answer = lora_tui(command, running.path, "--json")
    assert (answer.code, answer.json["result"]) == (0, "done")
    wait_for(lambda: look(running).status == "free")
    assert observe(running).state == "stopped"


def test_stop_returns_when_the_gpu_is_free(lora_tui, running):
    assert lora_tui("stop").code == 0
    assert look(running).status == "free"


def test_no_wait(lora_tui, running):
    answer = lora_tui("checkpoint", "--no-wait", "--json")
    assert (answer.code, answer.json["result"]) == (0, "sent")
    wait_for(lambda: answer.json["id"] in observe(running).snapshot.answers)


def test_what_the_engine_refuses_is_an_error(lora_tui, running):
    answer = lora_tui("sample", "--prompt", "refuse me", "--json")
    assert (answer.code, answer.json["error"]["code"], answer.json["error"]["message"]) == (1, "refused", "Not that.")


def test_an_engine_that_does_not_answer_keeps_the_command(lora_tui, project, monkeypatch):
    monkeypatch.setattr(control, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.0)
    run = create(project / "runs", Job("train", name="zibo"))
    with RunLock.acquire(run):
        answer = lora_tui("checkpoint", "--project", project, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "no-answer-yet")
    assert "stays in place" in answer.json["error"]["hint"]
    assert len(list(run.control_dir.iterdir())) == 1


def test_a_run_that_ends_before_it_reads_the_command(lora_tui, project, fake_engine):
    fake_engine(steps=60, step_seconds=0.02, ignore_stop=True)
    assert lora_tui("train", project, "--detach").code == 0
    answer = lora_tui("stop", "--project", project, "--json")
    assert (answer.code, answer.json["result"]) == (0, "ignored")
    assert "finished before" in answer.json["message"]


@pytest.mark.parametrize("command", ["pause", "stop", "stop-after-epoch", "checkpoint", "sample"])
def test_no_engine_at_work(lora_tui, project, fake_engine, command):
    fake_engine(steps=2, then="crash")
    lora_tui("train", project)
    run = find("last", project)
    before = sorted(run.control_dir.iterdir())
    answer = lora_tui(command, run.name, "--project", project, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "no-engine")
    assert "died at step 2 of 2" in answer.err
    assert f"lora-tui resume {run.path}" in answer.err
    assert answer.err.count("\n") == 1
    assert sorted(run.control_dir.iterdir()) == before


def test_a_run_that_never_began(lora_tui, project):
    create(project / "runs", Job("train"))
    answer = lora_tui("pause", "--project", project, "--json")
    assert answer.json["error"]["code"] == "no-engine"
    assert "queue" in answer.json["error"]["hint"]


def test_last_means_the_newest_run_at_work(lora_tui, running):
    """Somebody who compared something meanwhile still means the training."""
    create(running.path.parent, Job("compare"), now=time.time() + 60)
    assert list_runs(running.path.parent)[-1] != running
    assert lora_tui("checkpoint", "--json").json["run"] == str(running.path)


def test_a_run_is_found_by_name_path_and_project(lora_tui, running, monkeypatch, tmp_path):
    for arguments in (
        [running.name],
        [running.path],
        [running.path.parent.parent],  # the project folder: its last
        ["last", "--project", running.path.parent.parent],
        [running.name, "--project", running.path.parent.parent],
    ):
        assert lora_tui("checkpoint", *arguments).code == 0
    monkeypatch.chdir(running.path.parent.parent / "img")  # inside the project
    assert lora_tui("checkpoint").code == 0
    monkeypatch.chdir(tmp_path)
    lost = lora_tui("checkpoint", "--json")
    assert lost.json["error"]["code"] == "no-such-run"
    assert str(running.path) in lost.json["error"]["hint"]  # it is at work, and its project was used lately


def test_resume_restarts_a_run_that_died(lora_tui, project, fake_engine, monkeypatch):
    fake_engine(steps=6, crash_at=4, resumes=True)
    lora_tui("train", project)
    run = find("last", project)
    assert observe(run).state == "died"
    recent.list_path().unlink()
    fake_engine(steps=6, resumes=True)
    answer = lora_tui("resume", "--project", project, "--json")
    assert (answer.code, answer.json["result"], answer.json["run"]) == (0, "done", str(run.path))
    assert answer.json["pid"] > 0
    wait_for(lambda: observe(run).over)
    assert (observe(run).state, list(observe(run).snapshot.steps)) == ("finished", [1, 2, 3, 4, 5, 6])
    assert recent.projects() == [project]


def test_resume_with_what_may_and_may_not_change(lora_tui, project, fake_engine):
    fake_engine(steps=2)
    lora_tui("train", project)
    run = find("last", project)
    finished = lora_tui("resume", "--project", project, "--json")
    assert (finished.code, finished.json["error"]["code"]) == (1, "nothing-left")
    rank = lora_tui("resume", "--project", project, "--set", "network_dim=8", "--json")
    assert (rank.code, rank.json["error"]["code"]) == (1, "cannot-change")
    assert lora_tui("resume", "--project", project, "--set", "max_train_epochs=6").code == 0
    wait_for(lambda: look(run).status == "free")
    assert run.job.settings is not None
    assert run.job.settings.max_train_epochs == 6
    assert (run.path / "job-2.toml").exists()


def test_resume_changes_nothing_of_a_run_at_work(lora_tui, running):
    answer = lora_tui("resume", "--set", "max_train_epochs=9", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "run-busy")


def test_a_prompt_of_a_whole_book(lora_tui, running):
    answer = lora_tui("sample", "--prompt", "x" * 100_000, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "long-prompt")
