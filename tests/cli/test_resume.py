"""`train --resume`: which run goes on, what is said, and what may not be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.runs.folder import RunFolder, create, find, list_runs
from engine.runs.job import Job
from engine.runs.lock import RunLock
from engine.runs.state import observe
from lora_tui import recent


@pytest.fixture
def died(lora_tui, project, fake_engine) -> RunFolder:
    """A training of six steps that was killed at the fourth, with a checkpoint of it; the next engine does better."""
    fake_engine(steps=6, crash_at=4, resumes=True)
    assert lora_tui("train", project).code == 1
    run = find("last", project)
    checkpoint = run.checkpoints_dir / "step-00000004"
    checkpoint.mkdir()
    (checkpoint / "state.json").write_text(json.dumps({"step": 4, "epoch": 1}))
    fake_engine(steps=6, resumes=True)
    return run


def test_the_last_training_goes_on(lora_tui, project, died):
    answer = lora_tui("train", project, "--resume", "--json")
    assert answer.code == 0
    assert (answer.json["run"], answer.json["state"], answer.json["step"]) == (str(died.path), "finished", 6)
    assert "Going on from step 4." in answer.err
    assert len(list_runs(project)) == 1
    assert list(observe(died).snapshot.steps) == [1, 2, 3, 4, 5, 6]


def test_the_folder_of_a_run_or_its_name(lora_tui, project, died, fake_engine):
    fake_engine(steps=6, crash_at=4)
    lora_tui("train", project)
    assert find("last", project) != died
    fake_engine(steps=6, resumes=True)
    assert lora_tui("train", died.path, "--resume", "--json").json["run"] == str(died.path)
    assert recent.projects() == [project]
    more = ["--set", "max_train_epochs=5"]
    assert lora_tui("train", project, "--resume", "--run", died.name, *more, "--json").json["run"] == str(died.path)
    assert died.job.settings is not None
    assert died.job.settings.max_train_epochs == 5


def test_a_plain_train_starts_a_new_run_and_says_so(lora_tui, project, died):
    answer = lora_tui("train", project, "--json")
    assert answer.code == 0
    assert answer.json["run"] != str(died.path)
    said = [line for line in answer.err.splitlines() if "--resume" in line]
    assert len(said) == 1
    assert "new run" in said[0]
    assert "died at step 4 of 6" in said[0]
    assert observe(died).state == "died"
    assert "--resume" not in lora_tui("train", project).err  # the last one has finished now


def test_where_nothing_was_saved_there_is_nothing_to_go_on_with(lora_tui, project, fake_engine):
    fake_engine(then="fail")
    lora_tui("train", project)
    fake_engine()
    assert "--resume" not in lora_tui("train", project).err


def test_other_kinds_of_job_and_waiting_runs_are_passed_over(lora_tui, project, died):
    create(project / "runs", Job("compare", project=project))
    create(project / "runs", Job("train", project=project))  # waits in a queue: no engine was there yet
    assert lora_tui("train", project, "--resume", "--json").json["run"] == str(died.path)


def test_what_cannot_be_resumed(lora_tui, project, died, tmp_path):
    def code(*arguments: object) -> str:
        answer = lora_tui("train", *arguments, "--json")
        assert answer.err.count("\n") == 1
        return str(answer.json["error"]["code"])

    assert code(project, "--resume", "--set", "train_batch_size=7") == "cannot-change"
    assert code(project, "--resume", "--run", "1999-01-01_000000") == "no-such-run"
    assert code(tmp_path, "--resume") == "no-such-run"
    assert code(project, "--run", died.name) == "usage"
    with RunLock.acquire(died):
        assert code(project, "--resume") == "run-busy"
    lora_tui("train", project, "--resume")
    assert code(project, "--resume") == "nothing-left"


def test_on_end_of_the_command_line_and_of_the_config(lora_tui, project, fake_engine, monkeypatch):
    """The config's is for trainings that are started by hand; --on-end "" turns it off; other jobs never run it."""
    from engine.runs import on_end
    from lora_tui import follow

    given: list[str] = []
    real = follow.launch

    def launch(run: RunFolder, on_end: str = "") -> int:
        given.append(on_end)
        return real(run)

    monkeypatch.setattr(follow, "launch", launch)
    fake_engine()
    on_end.config_path().parent.mkdir(parents=True)
    on_end.config_path().write_text('on_end = "from the config"')
    lora_tui("train", project)
    lora_tui("train", project, "--on-end", "from the command line")
    lora_tui("train", project, "--on-end", "")
    lora_tui("inspect", Path(__file__))
    assert given == ["from the config", "from the command line", "", ""]
    on_end.config_path().write_text("on_end = ")
    answer = lora_tui("train", project, "--json")
    assert answer.json["error"]["code"] == "bad-config"
