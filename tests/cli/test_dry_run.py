"""`train --dry-run`: a few steps before hours of training."""

from __future__ import annotations

import json
import signal
from contextlib import nullcontext

import pytest

from engine.runs.folder import RunFolder, create, find, list_runs
from engine.runs.job import Job
from lora_tui.commands.train import last_training

FIELDS = ["run", "pid", "state", "step", "total_steps", "lora", "message", "seconds_per_step", "estimated_seconds"]


@pytest.fixture
def practice(project):
    """The project on the practice model that is shipped."""
    file = project / "project.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("pretrained_model")]
    lines.append('pretrained_model_name_or_path = "micro"')
    file.write_text("\n".join([*lines, "sample_every_n_steps = 4", 'sample_prompts = ["zibo --s 2"]', ""]))
    return project


def test_with_the_real_engine(lora_tui, practice):
    answer = lora_tui("train", practice, "--dry-run", "--json")
    run = find("last", practice)
    assert answer.code == 0, answer.err
    assert list(answer.json) == FIELDS
    assert (answer.json["run"], answer.json["state"], answer.json["lora"]) == (str(run.path), "finished", [])
    assert (answer.json["step"], answer.json["total_steps"]) == (5, 5)
    assert answer.json["estimated_seconds"] > 16 * answer.json["seconds_per_step"] > 0
    assert answer.json["message"].startswith("Five steps went well: ")
    assert "so the 16 steps take about" in answer.json["message"]
    assert len(list(run.samples_dir.iterdir())) == 1
    assert not (practice / "model").exists()


@pytest.mark.proof  # the sentences are the engine's own, which the test above has as JSON
def test_with_the_real_engine_in_words(lora_tui, practice):
    shown = lora_tui("train", practice, "--dry-run")
    assert shown.code == 0
    assert shown.out.startswith("Five steps went well: ")
    assert shown.out.count("\n") == 1
    assert "nothing is saved" in shown.err


def test_the_job_says_so(lora_tui, project, fake_engine):
    fake_engine(steps=5)
    assert lora_tui("train", project, "--dry-run", "--set", "max_train_epochs=9").code == 0
    run = find("last", project)
    assert (run.kind, run.job.dry_run, run.is_training) == ("train", 5, False)
    assert run.job.settings is not None
    assert run.job.settings.max_train_epochs == 9
    lora_tui("train", project)
    assert find("last", project).job.dry_run == 0


@pytest.mark.parametrize("other", [("--resume",), ("--detach",), ("--resume", "--run", "last")])
def test_not_together_with(lora_tui, project, other):
    answer = lora_tui("train", project, "--dry-run", *other, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "usage")
    assert not list_runs(project)


def test_what_would_not_train_is_refused_as_ever(lora_tui, project):
    for picture in (project / "img").rglob("*.png"):
        picture.unlink()
    assert lora_tui("train", project, "--dry-run", "--json").json["error"]["code"] == "no-pictures"
    assert not list_runs(project)


@pytest.fixture
def dead(lora_tui, project, fake_engine) -> RunFolder:
    """A dry run that was killed; a checkpoint in it, which a real one never has, tempts to go on."""
    fake_engine(steps=5, crash_at=4)
    assert lora_tui("train", project, "--dry-run").code == 1
    run = find("last", project)
    checkpoint = run.checkpoints_dir / "step-00000004"
    checkpoint.mkdir()
    (checkpoint / "state.json").write_text(json.dumps({"step": 4, "epoch": 1}))
    fake_engine()
    return run


def test_one_that_died_is_over(lora_tui, project, dead):
    for command in (("train", project), ("train", dead.path), ("train", project, "--run", dead.name)):
        answer = lora_tui(*command, "--resume", "--json")
        assert (answer.code, answer.json["error"]["code"]) == (1, "cannot-resume")
        assert f"{dead.name} was a dry run" in answer.json["error"]["message"]
        assert answer.err.count("\n") == 1
    assert lora_tui("resume", dead.path, "--json").json["error"]["code"] == "cannot-resume"
    assert lora_tui("checkpoint", dead.path, "--json").json["error"]["hint"] == ""  # no "to go on with it"


def test_it_is_passed_over_where_a_training_is_looked_for(lora_tui, project, dead, fake_engine):
    assert "--resume" not in lora_tui("train", project).err
    trained = find("last", project)
    create(project / "runs", Job("train", project=project, arguments={"dry_run": 5})).events_path.touch()
    assert last_training(project) == trained


def test_on_end_of_the_config_is_not_for_it(lora_tui, project, fake_engine, monkeypatch):
    """It may switch the machine off, and the training is yet to come."""
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
    on_end.config_path().write_text('on_end = "poweroff"')
    lora_tui("train", project, "--dry-run")
    lora_tui("train", project, "--dry-run", "--on-end", "echo done")
    assert given == ["", "echo done"]


def test_stopped_it_knows_no_seconds(lora_tui, project, fake_engine, monkeypatch):
    from lora_tui import follow

    pressed = iter(range(1000))
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(follow, "count_interrupts", lambda: nullcontext(lambda: int(next(pressed) > 2)))
    fake_engine(steps=1000, step_seconds=0.02)
    answer = lora_tui("train", project, "--dry-run", "--json")
    assert answer.code == 128 + signal.SIGINT
    assert answer.json["state"] == "stopped"
    assert (answer.json["seconds_per_step"], answer.json["estimated_seconds"]) == (None, None)
