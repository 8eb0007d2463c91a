"""Dry runs and trainings on the steps of the wizard: what was tried tells how long it takes, and is no training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot

from benchmarks.recorded import hold
from engine.plan.project import Project
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from lora_tui.draft import Draft
from lora_tui.follow import project_job
from lora_tui.screens import questions
from lora_tui.tried import last_try
from lora_tui.widgets.form import Form
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, settle, until_shown

LONG = "Five steps went well: 0.065 s each, so the 480 steps take about 32 s with the samples."


def run_of(folder: Path, status: str = "", now: float = 1795361412.0, **arguments: object) -> RunFolder:
    """A run of the project that has ended so, or has only just begun."""
    project = Project.open(folder)
    run = create(project.runs_dir, project_job("train", project, project.resolved(), "auto", **arguments), now)
    events = EventWriter(run.events_path)
    events.write("phase", name="loading", state="begin", done=0, total=None, unit="")
    if status:
        events.write("end", status=status, message=LONG if status == "finished" else "Stopped.", output=None)
    hold(run).release()
    return run


def test_what_was_tried_says_how_long_it_takes(folder: Path) -> None:
    run_of(folder, "finished", dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert LONG[:30] in text(pilot)
        assert "Only tried so far. b goes back to Review, where s starts it." in said(pilot)[1]
        await press(pilot, "enter")
        await settle(pilot)
        assert LONG in said(pilot)[1]
        await press(pilot, "escape", "7")
        await until_shown(pilot, "Tried")
        shown = " ".join(text(pilot).split())
        assert "Tried" in shown
        assert "take about 32 s" in shown

    drive(folder, act)


def test_a_second_try_waits_for_the_first(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7", "y")
        assert said(pilot)[1].startswith("A dry run is at work already")

    with hold(run):
        drive(folder, act)
    assert len(list((folder / "runs").iterdir())) == 1


def test_a_second_training_is_asked_about(folder: Path) -> None:
    run = run_of(folder)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        assert "asks before it starts another beside it" in " ".join(said(pilot)[1].split())
        await press(pilot, "s")
        assert "A training of this project is running." in text(pilot)
        await press(pilot, "escape")

    with hold(run):
        drive(folder, act)
    assert len(list((folder / "runs").iterdir())) == 1


def test_a_try_of_something_else_says_nothing(folder: Path) -> None:
    run_of(folder, "finished", dry_run=5)
    draft = Draft(folder)
    assert LONG in last_try(draft.project, draft.settings())
    draft.set("train_batch_size", "3")
    assert last_try(draft.project, draft.settings()) == ""
    draft.undo()
    assert LONG in last_try(draft.project, draft.settings())
    draft.edit(lambda project: project.left_out.append("img/2_ohwx man/00.png"))
    assert last_try(draft.project, draft.settings()) == ""


@pytest.mark.parametrize(
    ("arguments", "words"), [({"dry_run": 5}, "dry run   before its first step"), ({}, "before its first step")]
)
def test_runs_that_were_stopped_at_once_say_what_they_were(
    folder: Path,
    arguments: dict[str, object],
    words: str,
) -> None:
    run_of(folder, "stopped", **arguments)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        row = next(line for line in text(pilot).splitlines() if "✗ stopped" in line)
        assert row.split("stopped")[1].strip() == words
        assert "Enter open" in text(pilot).splitlines()[-1]

    drive(folder, act)
    assert last_try(Project.open(folder), Project.open(folder).resolved()) == ""


def test_a_training_that_runs_is_not_done_yet(folder: Path) -> None:
    run = run_of(folder)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert "8 ● Training         on" in text(pilot)
        assert "it goes on when you leave. Enter opens its dashboard." in said(pilot)[1]

    async def later(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert "8 ! Training" in text(pilot)  # its engine is gone without a last word

    with hold(run):
        drive(folder, act)
    drive(folder, later)


def test_a_run_that_was_just_started_is_the_chosen_one(folder: Path) -> None:
    from lora_tui.screens.training import TrainingPage

    older = run_of(folder, "finished", dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        page = pilot.app.screen
        assert isinstance(page, TrainingPage)
        assert page.query_one(Form).here == str(older.path)
        newer = run_of(folder, "stopped", now=1795369999.0)
        page.open(newer)
        await settle(pilot)
        await press(pilot, "escape")
        assert page.query_one(Form).here == str(newer.path)

    drive(folder, act)


def test_a_folder_that_is_gone_is_not_called_untrained(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        shutil.move(folder, folder.with_name("elsewhere"))
        await press(pilot, "7", "8")
        assert "folder is not there any more" in text(pilot)
        assert "No training has been started" not in text(pilot)

    drive(folder, act)


def test_stopping_a_dry_run_promises_nothing_that_is_not_so() -> None:
    said = " ".join(f"{choice.label} {choice.detail}" for choice in questions.stop(dry_run=True).choices)
    assert "resumed" not in said
    assert "epoch" not in said
    assert [choice.value for choice in questions.stop().choices] == ["", "stop", "stop-after-epoch"]
