"""Dry runs and trainings while they run, after they failed, and when what they tell of is no longer so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot

from benchmarks.recorded import hold
from benchmarks.small_run import make_project
from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from lora_tui.draft import Draft
from lora_tui.follow import project_job
from lora_tui.screens.dashboard import Dashboard
from lora_tui.screens.training import TrainingPage
from lora_tui.tried import last_try
from lora_tui.widgets.form import Form
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, said, settle
from tests.screens.wizard.test_tries import LONG, run_of


def end(run: RunFolder, status: str, message: str) -> None:
    with EventWriter(run.events_path) as events:
        events.write("end", status=status, message=message, output=None)


def test_a_dry_run_at_work_is_not_called_tried(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert said(pilot) == ("ok", "A dry run is at work. Enter opens its dashboard.")

    with hold(run):
        drive(folder, act)


def test_a_training_that_waits_in_the_queue_has_not_begun(folder: Path) -> None:
    project = Project.open(folder)
    create(project.runs_dir, project_job("train", project, project.resolved(), "auto"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert "8 · Training" in text(pilot)
        assert said(pilot) == ("ok", "It waits until the queue comes to it. Enter opens its dashboard.")

    drive(folder, act)


def test_after_a_dry_run_the_key_that_goes_on_is_named(folder: Path) -> None:
    run_of(folder, "finished", dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert said(pilot)[0] == "ok"
        assert said(pilot)[1] == "Only tried so far. b goes back to Review, where s starts it."

    drive(folder, act)


def test_the_review_tells_of_a_dry_run_that_ends_while_it_is_open(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        assert "Tried" not in text(pilot)
        end(run, "finished", LONG)
        await until(pilot, lambda: "Tried" in text(pilot))

    drive(folder, act)


@pytest.mark.parametrize("size", ["small", "wide"])
def test_how_long_it_takes_stands_where_the_steps_stand(folder: Path, size: str) -> None:
    run_of(folder, "finished", dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        await until(pilot, lambda: "Tried" in text(pilot))
        rows = text(pilot).splitlines()
        steps = next(place for place, row in enumerate(rows) if row.rstrip().endswith(" steps"))
        assert "Tried" in rows[steps + 1]  # in sight also where the page is longer than the screen

    drive(folder, act, size)


def test_settings_that_cannot_be_used_were_not_tried(folder: Path) -> None:
    run_of(folder, "finished", dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        await until(pilot, lambda: "Tried" in text(pilot))
        path = folder / "project.toml"
        path.write_text(path.read_text().replace("network_dim = 4", "network_dim = 0"))
        await until(pilot, lambda: "network_dim" in text(pilot))
        await settle(pilot)
        assert "Tried" not in text(pilot)

    drive(folder, act)


def test_a_stopped_try_leaves_the_one_before_it_true(folder: Path) -> None:
    run_of(folder, "finished", dry_run=5)
    run_of(folder, "stopped", now=1795369999.0, dry_run=5)
    draft = Draft(folder)
    assert LONG in last_try(draft.project, draft.settings())


def test_a_try_with_other_pictures_says_nothing(folder: Path) -> None:
    run = run_of(folder, "finished", dry_run=5)
    draft = Draft(folder)
    run.result_path.write_text('{"whole_steps": 480}')
    assert LONG in last_try(draft.project, draft.settings(), steps=480)
    assert last_try(draft.project, draft.settings(), steps=600) == ""
    run.result_path.write_text("[]")  # an engine before it said so, or damage
    assert LONG in last_try(draft.project, draft.settings(), steps=600)


def test_a_try_on_another_device_says_nothing(folder: Path) -> None:
    run = run_of(folder, "finished", dry_run=5)
    draft = Draft(folder)
    run.first_job_path.write_text(run.first_job_path.read_text().replace('device = "auto"', 'device = "cpu"'))
    assert last_try(draft.project, draft.settings()) == ""


def test_a_training_that_came_to_no_end_is_not_done(folder: Path) -> None:
    run_of(folder, "stopped")

    async def stopped(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert "8 ! Training" in text(pilot)
        assert said(pilot)[0] == "!"
        assert said(pilot)[1].startswith("No training has come to its end yet. Enter opens the dashboard of one")

    drive(folder, stopped)
    run_of(folder, "finished", now=1795369999.0)

    async def finished(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert "8 ✓ Training" in text(pilot)

    drive(folder, finished)


def test_the_steps_say_so_when_a_training_ends_on_any_page(folder: Path) -> None:
    run = run_of(folder)
    lock = hold(run)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1")
        assert "8 ● Training         on" in text(pilot)
        end(run, "finished", "Trained 4 steps.")
        lock.release()
        await until(pilot, lambda: "8 ✓ Training" in text(pilot))

    drive(folder, act)


def test_the_newest_run_is_the_chosen_one_until_somebody_moves(folder: Path) -> None:
    run_of(folder, "stopped")

    def here(pilot: Pilot[None]) -> str:
        return pilot.app.screen.query_one(Form).here.rpartition("/")[2]

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        second = run_of(folder, "stopped", now=1795369999.0)
        await until(pilot, lambda: here(pilot) == second.name)
        await press(pilot, "down")
        chosen = here(pilot)
        assert chosen != second.name
        third = run_of(folder, "stopped", now=1795379999.0)
        await until(pilot, lambda: third.name in text(pilot))
        assert here(pilot) == chosen
        await press(pilot, "up", "up", "1")

    async def again(pilot: Pilot[None]) -> None:  # nobody had chosen an older one
        await press(pilot, "8")
        assert here(pilot) == fourth.name

    drive(folder, act)
    fourth = run_of(folder, "stopped", now=1795389999.0)
    drive(folder, again)


def test_a_new_run_is_brought_into_sight(folder: Path) -> None:
    for place in range(29):
        run_of(folder, "stopped", now=1795361412.0 + place)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8", *["down"] * 28)
        page = pilot.app.screen
        assert isinstance(page, TrainingPage)
        newest = run_of(folder, "stopped", now=1795369999.0)
        page.open(newest)
        await settle(pilot)
        await press(pilot, "escape")
        await until(pilot, lambda: f"▸ {newest.name}" in text(pilot))

    drive(folder, act, "small")


@pytest.mark.parametrize("arguments", [{"dry_run": 5}, {}])
def test_a_run_that_was_stopped_before_its_first_step_says_so(
    folder: Path,
    arguments: dict[str, object],
) -> None:
    run_of(folder, "stopped", **arguments)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8", "enter")
        await settle(pilot)
        assert said(pilot)[1].startswith("Stopped before its first step.")
        assert "dry run" in text(pilot) or not arguments

    drive(folder, act)


def test_the_list_of_runs_tells_dry_runs_from_trainings(folder: Path) -> None:
    run_of(folder, "stopped", dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8", "enter")
        await settle(pilot)
        await press(pilot, "o")
        await until(pilot, lambda: "stopped" in text(pilot))
        row = next(line for line in text(pilot).splitlines() if "✗ stopped" in line)
        assert "dry run" in row

    drive(folder, act)


def test_a_dry_run_offers_nothing_to_save(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Dashboard)
        assert "s stop" in text(pilot).splitlines()[-1]
        assert "save now" not in text(pilot)

    with hold(run):
        drive(folder, act)


def test_a_dry_run_is_not_asked_to_save(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8", "enter")
        await settle(pilot)
        await press(pilot, "s", "down", "enter")
        await settle(pilot)
        assert said(pilot)[1] == "Asked the engine to stop."

    with hold(run):
        drive(folder, act)


@pytest.mark.parametrize("size", ["small", "wide"])
def test_a_run_without_a_step_counts_none(folder: Path, size: str) -> None:
    run_of(folder, "stopped")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8", "enter")
        await settle(pilot)
        assert "no step was done" in text(pilot)
        assert "0 of 0" not in text(pilot)
        assert "preparing" not in text(pilot)

    drive(folder, act, size)


def test_on_the_list_of_projects_enter_opens(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "escape")
        await until(pilot, lambda: "Running now" in text(pilot))
        assert "dry run: " in text(pilot)
        assert "Enter open" in text(pilot).splitlines()[-1]
        await press(pilot, "down")
        assert "Enter open" in text(pilot).splitlines()[-1]
        await press(pilot, "down")  # a new project
        assert "Enter do it" in text(pilot).splitlines()[-1]

    with hold(run):
        drive(folder, act)


def test_also_at_the_first_look_enter_does_what_it_says() -> None:
    async def act(pilot: Pilot[None]) -> None:
        await pilot.pause()
        assert "Enter do it" in text(pilot).splitlines()[-1]

    drive(None, act)


def test_a_folder_that_is_gone_has_no_facts_and_nothing_to_open(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        assert "6 of 6 written" in text(pilot)
        shutil.move(folder, folder.with_name("elsewhere"))
        await press(pilot, "8", "7")
        assert "The project's folder is not there any more" in text(pilot)
        assert "As a command" not in text(pilot)
        assert "ohwx man" not in text(pilot)
        await press(pilot, "s")
        assert "project.toml has to be mended" not in said(pilot)[1]
        await press(pilot, "8")
        assert "Enter" not in text(pilot).splitlines()[-1]
        assert "s starts it" not in said(pilot)[1]
        shutil.move(folder.with_name("elsewhere"), folder)
        await press(pilot, "7")
        await until(pilot, lambda: "As a command" in text(pilot))

    drive(folder, act)


def test_a_damaged_job_was_never_tried(tmp_path: Path) -> None:
    damaged = make_project(tmp_path / "damaged")
    run = run_of(damaged, "finished", dry_run=5)
    run.first_job_path.write_text(run.first_job_path.read_text().replace("network_dim = 4", "network_dim = 0"))
    with pytest.raises(UserError):
        _ = run.job
    draft = Draft(damaged)
    assert last_try(draft.project, draft.settings()) == ""
