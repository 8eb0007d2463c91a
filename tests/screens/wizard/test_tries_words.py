"""What is said of dry runs and of a folder that is gone: no more than is so, and what to do."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from textual.pilot import Pilot

from benchmarks.recorded import hold
from lora_tui.draft import Draft
from lora_tui.screens.training import TrainingPage
from lora_tui.tried import last_try
from lora_tui.widgets.form import Form
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, said, settle
from tests.screens.wizard.test_tries import LONG, run_of
from tests.screens.wizard.test_tries_and_trainings import end


def hints(pilot: Pilot[None]) -> str:
    return text(pilot).splitlines()[-1]


def test_what_went_well_once_is_not_told_when_it_has_failed_since(folder: Path) -> None:
    run_of(folder, "finished", dry_run=5)
    draft = Draft(folder)
    told = last_try(draft.project, draft.settings())
    assert told.endswith(LONG)
    assert told.startswith("Tried at ")
    run_of(folder, "stopped", now=1795361500.0, dry_run=5)
    assert last_try(draft.project, draft.settings()) == told
    run_of(folder, "failed", now=1795361600.0, dry_run=5)
    assert last_try(draft.project, draft.settings()) == ""


def test_the_day_is_told_of_a_try_that_was_not_today(folder: Path) -> None:
    run_of(folder, "finished", dry_run=5)
    draft = Draft(folder)
    told = last_try(draft.project, draft.settings(), now=time.time() + 2 * 86400)
    assert told.startswith("Tried ")
    assert not told.startswith("Tried at ")  # "at Tue 14:02"


def test_the_review_tells_that_a_dry_run_is_at_work(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        assert said(pilot)[1] == "A dry run is at work; what it shows will stand here. s starts without waiting for it."
        end(run, "finished", LONG)
        await until(pilot, lambda: "Tried at" in text(pilot))
        lock.release()
        await until(pilot, lambda: said(pilot)[1] == "Ready. s starts the training.")

    lock = hold(run)
    drive(folder, act)


def test_the_review_does_not_wait_for_a_dry_run_that_has_failed(folder: Path) -> None:
    run = run_of(folder, dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        assert said(pilot)[1].startswith("A dry run is at work")
        end(run, "failed", "The graphics card has too little free memory for this.")
        lock.release()
        await until(pilot, lambda: "y tries 5 steps first" in said(pilot)[1])

    lock = hold(run)
    drive(folder, act)


def test_the_dashboard_of_a_dry_run_promises_no_training(folder: Path) -> None:
    run = run_of(folder, now=time.time(), dry_run=5)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8", "enter")
        await until(pilot, lambda: "Preparing; the steps of the dry run begin by themselves." in said(pilot)[1])

    with hold(run):
        drive(folder, act)


def test_a_run_that_is_begun_is_the_chosen_one_whatever_was_chosen_when_the_app_was_left(folder: Path) -> None:
    oldest = run_of(folder, "finished", dry_run=5)
    run_of(folder, "stopped", now=1795361500.0)

    async def choose(pilot: Pilot[None]) -> None:
        await press(pilot, "8", "down")
        assert pilot.app.screen.query_one(Form).here == str(oldest.path)
        await press(pilot, "7")

    async def act(pilot: Pilot[None]) -> None:
        pages = pilot.app.pages  # type: ignore[attr-defined]
        newest = run_of(folder, "stopped", now=1795369999.0)
        pages.go("training")  # as Review does it, before this step was ever shown
        page = pages.page("training")
        assert isinstance(page, TrainingPage)
        page.open(newest)
        await settle(pilot)
        await press(pilot, "escape")
        assert page.query_one(Form).here == str(newest.path)

    drive(folder, choose)
    drive(folder, act)


def test_where_nothing_was_trained_nothing_is_said_of_a_dashboard(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "8")
        assert "dashboard" not in text(pilot)
        run_of(folder, "stopped")
        await press(pilot, "7", "8")
        assert "opens its dashboard" in " ".join(text(pilot).split())

    drive(folder, act, "huge")


def test_the_review_of_a_folder_that_is_gone_says_what_to_do_and_offers_no_start(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7")
        assert "s start" in hints(pilot)
        shutil.move(folder, folder.with_name("elsewhere"))
        await press(pilot, "8", "7")
        assert "s start" not in hints(pilot)
        assert "open it where it is now: Esc, then o." in " ".join(text(pilot).split())

    drive(folder, act, "small")
