"""The list of runs, and runs compared in one chart."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from benchmarks.recorded import hold, record
from engine.runs.folder import RunFolder
from lora_tui.screens.compare import CompareScreen
from lora_tui.screens.dashboard import Dashboard
from lora_tui.screens.runs import RunsScreen
from lora_tui.widgets.status import Status
from tests.screens.app_test import drive, press, recorded, settle, text, until


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: finished, died, and one under way."""
    folder = tmp_path_factory.mktemp("runs") / "zibo"
    recorded(folder, "finished", name="2026-11-20_100000")
    recorded(folder, "died", name="2026-11-21_100000", steps=500)
    record(folder / "runs" / "2026-11-22_100000", 300, "running")  # by the real clock, which the list goes by
    return folder


async def read(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: "reading…" not in text(pilot))
    await settle(pilot)


def test_runs_are_listed_newest_first_with_state_step_and_loss(project):
    async def act(pilot: Pilot[None]) -> None:
        await read(pilot)
        rows = [line for line in text(pilot).splitlines() if "2026-11-2" in line]
        assert [row.split()[1 if row.startswith("▸") else 0] for row in rows] == [
            "2026-11-22_100000", "2026-11-21_100000", "2026-11-20_100000",
        ]  # fmt: skip
        assert "● training" in rows[0]
        assert "300/3,000" in rows[0]
        assert "✗ died" in rows[1]
        assert "500/3,000" in rows[1]
        assert "✓ finished" in rows[2]
        assert "0.1013" in rows[2]

    with hold(RunFolder(project / "runs" / "2026-11-22_100000")):
        drive(lambda: RunsScreen([project]), act, "small")


def test_enter_opens_the_dashboard_and_escape_comes_back(project):
    async def act(pilot: Pilot[None]) -> None:
        await read(pilot)
        await press(pilot, "down", "down", "enter")
        assert isinstance(pilot.app.screen, Dashboard)
        assert pilot.app.screen.watched.name == "2026-11-20_100000"
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, RunsScreen)
        await press(pilot, "escape")  # the first screen stays
        assert isinstance(pilot.app.screen, RunsScreen)

    drive(lambda: RunsScreen([project]), act)


def test_marked_runs_are_compared_in_one_chart(project):
    async def act(pilot: Pilot[None]) -> None:
        await read(pilot)
        assert "c compare" not in text(pilot)
        await press(pilot, "space", "c")
        assert pilot.app.screen.query_one(Status).said[0] == "!"
        await press(pilot, "down", "down", "space", "c")
        assert isinstance(pilot.app.screen, CompareScreen)
        await settle(pilot)
        screen = text(pilot)
        assert "1 2026-11-20_100000" in screen
        assert "2 2026-11-22_100000" in screen
        assert "2026-11-21" not in screen
        assert "step 3,000 of 3,000" in screen
        await press(pilot, "y", "plus", "left", "0", "escape")
        assert isinstance(pilot.app.screen, RunsScreen)

    drive(lambda: RunsScreen([project]), act)


def test_new_runs_appear_and_removed_ones_go(tmp_path):
    recorded(tmp_path / "zibo", "finished", name="2026-11-20_100000")
    seen = []

    async def act(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, RunsScreen)
        await read(pilot)
        recorded(tmp_path / "zibo", "died", name="2026-11-21_100000", steps=20)
        screen._find()
        seen.append([row.run.name for row in screen.rows])
        (tmp_path / "zibo" / "runs" / "2026-11-20_100000").rename(tmp_path / "elsewhere")
        screen._find()
        seen.append([row.run.name for row in screen.rows])
        seen.append(screen.here.name if screen.here else None)

    drive(lambda: RunsScreen([tmp_path / "zibo"]), act)
    assert seen == [["2026-11-21_100000", "2026-11-20_100000"], ["2026-11-21_100000"], "2026-11-21_100000"]


def test_project_without_runs_says_how_to_start_one(tmp_path):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "enter", "space", "up", "down")
        assert "No runs yet. Start one: lora-tui train DIR" in text(pilot)

    drive(lambda: RunsScreen([tmp_path]), act, "small")
