"""The palette and the machine's screen on the screens outside the wizard's steps: the first one and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from benchmarks.recorded import hold
from engine.runs.folder import RunFolder
from lora_tui import themes
from lora_tui.app import LoraTui
from lora_tui.screens import machine
from lora_tui.widgets.chart import LossChart
from tests.screens import app_test
from tests.screens.app_test import dashboard, text
from tests.screens.wizard import driving

Act = Callable[[Pilot[None]], Awaitable[None]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch, which takes seconds."""
    monkeypatch.setattr(machine, "machine_checks", lambda: iter([]))


def on(where: str, run: RunFolder, act: Act) -> LoraTui:
    if where == "home":
        return driving.drive(None, act)
    with hold(run):
        return app_test.drive(lambda: dashboard(run), act)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Keys that work on any screen; until what they do is there."""
    await app_test.press(pilot, *keys)
    await driving.settle(pilot)


async def choose(pilot: Pilot[None], words: str) -> None:
    """Open the palette, find something by its words, and take it."""
    await press(pilot, "colon", *("space" if letter == " " else letter for letter in words))
    await press(pilot, "enter")


def screen_of(pilot: Pilot[None]) -> str:
    return type(pilot.app.screen).__name__


OWN = {"home": "Home", "dashboard": "Dashboard"}


@pytest.mark.parametrize("where", OWN)
def test_the_machine_is_looked_at_and_left_by_its_key(running: RunFolder, where: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        for back in ("escape", "exclamation_mark"):
            await press(pilot, "exclamation_mark")
            assert screen_of(pilot) == "MachineScreen"
            assert "The terminal" in text(pilot)
            await press(pilot, back)
            assert screen_of(pilot) == OWN[where]

    assert not on(where, running, act).crashed


@pytest.mark.parametrize("where", OWN)
def test_the_palette_is_opened_and_left_with_nothing_done(running: RunFolder, where: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        before = text(pilot)
        await press(pilot, "colon")
        assert screen_of(pilot) == "Palette"
        assert "A command, a step or a theme" in text(pilot)
        await press(pilot, "escape")
        assert screen_of(pilot) == OWN[where]
        assert text(pilot) == before

    on(where, running, act)


@pytest.mark.parametrize("where", OWN)
def test_a_theme_is_chosen_in_the_palette(running: RunFolder, where: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "theme light")
        assert screen_of(pilot) == OWN[where]
        assert pilot.app.theme_name == "light"  # type: ignore[attr-defined]
        assert themes.remembered() == "light"

    on(where, running, act)


@pytest.mark.parametrize(
    ("where", "words", "screen"),
    [
        ("home", "machine", "MachineScreen"),
        ("home", "new project", "NewProjectPage"),
        ("home", "demo", "ProjectPage"),
        ("dashboard", "machine", "MachineScreen"),
        ("dashboard", "stop", "Question"),
        ("dashboard", "pause", "Question"),
        ("dashboard", "sample now", "Ask"),
        ("dashboard", "samples", "SamplesScreen"),
        ("dashboard", "log", "LogScreen"),
        ("dashboard", "runs", "RunsScreen"),
    ],
)
def test_what_is_chosen_in_the_palette_is_done(running: RunFolder, where: str, words: str, screen: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, words)
        assert screen_of(pilot) == screen

    assert not on(where, running, act).crashed


def test_a_folder_is_opened_from_the_palette(running: RunFolder, folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "open folder")
        assert screen_of(pilot) == "Home"
        await driving.type_in(pilot, folder.name)
        await press(pilot, "enter")
        assert screen_of(pilot) == "ProjectPage"

    on("home", running, act)


def test_the_dashboards_entries_do_what_its_keys_do(running: RunFolder) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "save now")
        (order,) = running.control_dir.glob("*.json")
        assert json.loads(order.read_bytes())["command"] == "checkpoint"
        await choose(pilot, "log scale")
        assert pilot.app.screen.query_one(LossChart).log_scale
        await choose(pilot, "next panel")
        assert pilot.app.screen.tab == "samples"  # type: ignore[attr-defined]

    on("dashboard", running, act)
