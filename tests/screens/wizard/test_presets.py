"""The presets of the wizard: listed, what each changes shown before it is taken, taken back, saved and removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.project import Project
from engine.runs.places import presets_dir
from lora_tui.look import Look
from lora_tui.screens.presets import PresetsScreen
from lora_tui.screens.settings import SettingsPage
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from tests.screens.wizard.driving import drive, press, said, type_in


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def plain(pilot: Pilot[None], what: str) -> str:
    return "\n".join(pilot.app.screen.query_one(what, Lines).plain)


def test_what_a_preset_changes_is_shown_before_it_is_taken_and_can_be_taken_back(folder: Path) -> None:
    before = (folder / "project.toml").read_text()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "p")
        assert "a person or a thing" in plain(pilot, "#about")
        await press(pilot, "home", "down", "enter")
        shown = plain(pilot, "#lines")
        assert "For one person or one drawn character" in shown
        assert "Limit of the weights         5.0 → 1.0" in shown
        assert (folder / "project.toml").read_text() == before
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, PresetsScreen)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, SettingsPage)
        assert (folder / "project.toml").read_text() == before
        await press(pilot, "p", "home", "down", "enter", "enter")
        assert isinstance(pilot.app.screen, SettingsPage)
        assert Project.open(folder).preset == "character"
        assert said(pilot) == ("ok", "The settings start from Character now; u takes that back.")
        await press(pilot, "u")
        project = Project.open(folder)
        assert project.preset in (None, "guide")
        assert project.resolved().scale_weight_norms == 5.0

    drive(folder, act, "small")


@pytest.mark.parametrize("key", ["enter", "right", "left"])
def test_the_first_row_opens_the_list_and_changes_nothing_itself(folder: Path, key: str) -> None:
    before = (folder / "project.toml").read_text()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", key)
        assert isinstance(pilot.app.screen, PresetsScreen)

    drive(folder, act)
    assert (folder / "project.toml").read_text() == before


@pytest.mark.parametrize("size", ["small", "wide"])
def test_the_settings_are_saved_as_ones_own_and_removed_again(folder: Path, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "p", "s")
        await type_in(pilot, "../x")
        await press(pilot, "enter")
        assert said(pilot)[0] == "x"
        await press(pilot, "s")
        await type_in(pilot, "my faces")
        await press(pilot, "enter", "escape")
        assert not presets_dir().exists()
        await press(pilot, "s")
        await type_in(pilot, "my faces")
        await press(pilot, "enter", "enter")
        assert said(pilot)[1].startswith("Saved as my faces: ")
        assert "One of your own." in plain(pilot, "#about")
        await press(pilot, "s")
        await type_in(pilot, "my faces")
        await press(pilot, "enter", "enter")  # the first answer is to leave the older one
        assert "One of your own." in plain(pilot, "#about")
        await press(pilot, "s")
        await type_in(pilot, "my faces")
        await press(pilot, "enter", "down", "enter")
        await type_in(pilot, "For faces")
        await press(pilot, "enter")
        assert "For faces" in plain(pilot, "#about")
        await press(pilot, "x", "down", "enter")
        assert said(pilot)[1].startswith("Deleted: ")
        await press(pilot, "home", "x")
        assert said(pilot) == ("!", "This preset comes with the program and stays.")

    drive(folder, act, size)
    assert list(presets_dir().iterdir()) == []


def test_an_own_preset_is_taken_by_its_values(folder: Path) -> None:
    presets_dir().mkdir(parents=True)
    (presets_dir() / "mine.toml").write_text(
        '[settings]\nnetwork_dim = 24\noutput_name = "stolen"\npretrained_model_name_or_path = "/etc/passwd"\n'
    )
    base = Project.open(folder).settings.get("pretrained_model_name_or_path")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "p", "end", "enter")
        assert "that is left out" in plain(pilot, "#lines").replace("\n   ", " ")
        await press(pilot, "enter")

    drive(folder, act)
    project = Project.open(folder)
    assert (project.preset, project.settings["network_dim"]) == ("guide", 24)
    assert project.settings.get("pretrained_model_name_or_path") == base
    assert "output_name" not in project.settings


def test_a_broken_file_is_a_row_that_says_why(folder: Path) -> None:
    presets_dir().mkdir(parents=True)
    (presets_dir() / "odd[b].toml").write_text("x = [")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "p", "end")
        assert "odd[b]" in plain(pilot, "#list").splitlines()[-1]
        assert "this is not valid TOML" in plain(pilot, "#about").replace("\n", "")
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, PresetsScreen)

    drive(folder, act, "small", Look(ascii_only=True))


def test_a_double_click_on_a_row_shows_what_it_changes(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "p", "home", "down")
        await pilot.click(Listing, offset=(5, 1), times=2)
        await press(pilot)
        assert "It changes" in plain(pilot, "#lines")

    drive(folder, act)
