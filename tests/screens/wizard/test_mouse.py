"""The mouse does what keys do, and never more than one click means."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.project import Project
from lora_tui.widgets.form import Form
from lora_tui.widgets.hints import Hints
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, settle


async def click(pilot: Pilot[None], words: str, times: int = 1) -> None:
    """On the first place of the screen where these words stand."""
    row, line = next((row, line) for row, line in enumerate(text(pilot).splitlines()) if words in line)
    await pilot.click(offset=(line.index(words), row), times=times)
    await settle(pilot)


@pytest.mark.parametrize(
    ("size", "words"), [("wide", "Settings"), ("wide", "9 · Results"), ("small", "6✓"), ("small", "9·")]
)
def test_a_click_on_a_step_goes_there(folder: Path, size: str, words: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1")
        await click(pilot, words)
        assert f"{'9' if '9' in words else '6'} of 9" in text(pilot)

    drive(folder, act, size)


def test_one_click_on_a_chosen_row_changes_nothing(folder: Path) -> None:
    before = (folder / "project.toml").read_text()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        assert pilot.app.screen.query_one(Form).here == "preset"
        await click(pilot, "Start from")
        assert (folder / "project.toml").read_text() == before
        await click(pilot, "Start from", times=2)
        assert type(pilot.app.screen).__name__ == "PresetsScreen"

    drive(folder, act)


@pytest.mark.parametrize(("hint", "screen"), [("? help", "Help"), ("/ find", "Palette"), ("n next", "PicturesPage")])
def test_hints_of_the_app_and_of_the_screen_can_be_clicked(folder: Path, hint: str, screen: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1")
        await click(pilot, hint)
        assert type(pilot.app.screen).__name__ == screen

    drive(folder, act)


def test_hints_of_an_editor_can_be_clicked(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", "enter", "x")
        assert "Esc leave it" in pilot.app.screen.query_one(Hints).plain[0]
        await click(pilot, "Esc leave it")
        assert pilot.app.focused is None
        await press(pilot, "enter", "x")
        await click(pilot, "Enter take it")

    drive(folder, act)
    assert Project.open(folder).name.endswith("x")
