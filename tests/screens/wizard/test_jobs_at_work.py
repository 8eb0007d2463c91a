"""Runs beside training on the list of projects, the list of runs and in `watch`: nothing of a training is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from benchmarks.recorded import hold
from engine.plan.settings import resolve
from engine.runs.captions import Done, Log
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from lora_tui.screens.captioning import CaptioningScreen
from lora_tui.screens.dashboard import Dashboard
from lora_tui.screens.job import JobScreen, screen_of
from lora_tui.screens.log import LogScreen
from lora_tui.screens.regularisation import RegularisationPage
from lora_tui.screens.runs import RunsScreen
from tests.screens.app_test import drive as drive_screen
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, until_shown

OF_A_TRAINING = ("the training begins", "Loss", "pause", "save now", "sample now", "preparing")


def at_work(folder: Path, kind: str) -> RunFolder:
    """A run of this kind that has done 3 of 24. Hold its lock."""
    run = create(folder / "runs", Job(kind, folder, "face", settings=resolve({}), device="cpu"))
    with EventWriter(run.events_path) as events:
        events.write("phase", name="working", state="start", done=3, total=24, unit="pictures")
    return run


def is_of_no_training(shown: str) -> bool:
    return not any(words in shown for words in OF_A_TRAINING)


@pytest.mark.parametrize(
    ("kind", "screen"),
    [
        ("caption", CaptioningScreen),
        ("regularise", RegularisationPage),
        ("fetch-pictures", RegularisationPage),
        ("convert", JobScreen),
    ],
)
def test_enter_on_a_job_that_is_running_shows_that_job(folder: Path, kind: str, screen: type) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "escape")
        await until_shown(pilot, "Running now")
        assert "● at work" in text(pilot)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, screen)
        await until_shown(pilot, "3 of 24 pictures")
        assert is_of_no_training(text(pilot))

    with hold(at_work(folder, kind)):
        drive(folder, act)


@pytest.mark.parametrize("size", ["small", "wide"])
def test_the_captions_of_a_run_are_seen_as_they_come(folder: Path, size: str) -> None:
    run = at_work(folder, "caption")
    log = Log(run)
    log.add(Done("img/1_x/a.png", "said", "a [red] hat\x1b"))
    log.add(Done("img/1_x/b.png", "skipped", "It is broken.", "broken-picture"))

    async def act(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "working, 3 of 24 pictures")
        shown = text(pilot)
        assert "● at work" in shown
        assert "captions" in shown.splitlines()[0]
        assert "a [red] hat\\x1b" in shown
        assert "It is broken." in shown
        assert "s stops it" in shown
        assert is_of_no_training(shown)
        await pilot.press("l")
        await pilot.pause()
        assert isinstance(pilot.app.screen, LogScreen)
        await pilot.press("l", "s")
        assert "Asked the engine to stop." in text(pilot)

    with hold(run):
        drive_screen(lambda: screen_of(run), act, size)
    log.close()
    assert list((run.path / "control").iterdir())


def test_a_job_that_is_over_says_what_came_of_it(folder: Path) -> None:
    run = at_work(folder, "caption")
    with EventWriter(run.events_path) as events:
        events.write("end", status="finished", message="24 captions written with micro.", output=None)

    async def act(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "24 captions written with micro.")
        assert "✓ finished" in text(pilot)
        await pilot.press("s")
        assert "No engine is at work on this run." in text(pilot)

    drive_screen(lambda: JobScreen(run), act, "wide")


def test_the_list_of_runs_opens_it_as_well(folder: Path) -> None:
    run = at_work(folder, "caption")

    async def act(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "● at work")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, JobScreen)

    with hold(run):
        drive_screen(lambda: RunsScreen([folder]), act, "wide")


def test_a_training_and_what_cannot_be_told_have_the_dashboard(folder: Path) -> None:
    assert isinstance(screen_of(at_work(folder, "train")), Dashboard)
    assert isinstance(screen_of(RunFolder(folder / "runs" / "nothing")), Dashboard)
