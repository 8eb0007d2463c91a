"""Settings from a file of kohya's programs: chosen from the settings' screen, shown first, taken and taken back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot

from engine.plan.project import Project
from lora_tui.screens.exporting import ExportedScreen
from lora_tui.screens.imported import ImportedScreen
from lora_tui.screens.settings import SettingsPage
from tests.plan.kohya.asked import AI_NOW
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, said, settle, type_in


async def choose(pilot: Pilot[None], name: str) -> None:
    """The file `name` beside the project, by typing its path into the walk through folders."""
    await press(pilot, "6", "i")
    await press(pilot, "slash")
    editor = pilot.app.focused
    assert editor is not None
    editor.value += name  # type: ignore[attr-defined]
    await press(pilot, "enter")
    await press(pilot, "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportedScreen | SettingsPage) and said_or_shown(pilot))
    await settle(pilot)


def said_or_shown(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, ImportedScreen) or "Reading" not in said(pilot)[1]


@pytest.mark.parametrize("size", ["wide", "small"])
def test_what_changes_is_shown_then_taken_and_taken_back(folder: Path, size: str) -> None:
    shutil.copy(AI_NOW, folder.parent / "ai.json")
    before = Project.open(folder).settings

    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "ai.json")
        screen = pilot.app.screen
        assert isinstance(screen, ImportedScreen)
        shown = "\n".join(str(row) for row in screen.lines(200))
        assert "a save of kohya_ss' window" in shown
        assert "1,600" in shown
        assert "160" in shown
        assert "Left to the project" in shown
        assert "training_comment" in shown
        assert Project.open(folder).settings == before
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, SettingsPage)
        assert "as in ai.json now" in said(pilot)[1]
        now = Project.open(folder)
        assert now.settings["max_train_epochs"] == 160
        assert now.settings.get("pretrained_model_name_or_path") == before.get("pretrained_model_name_or_path")
        await press(pilot, "u")
        assert Project.open(folder).settings == before

    drive(folder, act, size)


def test_esc_leaves_everything_as_it_is(folder: Path) -> None:
    shutil.copy(AI_NOW, folder.parent / "ai.json")
    before = (folder / "project.toml").read_bytes()

    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "ai.json")
        assert "Enter takes it" in text(pilot.app)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, SettingsPage)
        assert "Reading" not in said(pilot)[1]

    drive(folder, act)
    assert (folder / "project.toml").read_bytes() == before


def test_pages_and_both_ends_are_one_key_away(folder: Path) -> None:
    shutil.copy(AI_NOW, folder.parent / "ai.json")

    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "ai.json")
        place = pilot.app.screen.query_one("#whole", VerticalScroll)
        rows = []
        for key in ("pagedown", "end", "pageup", "home"):
            await press(pilot, key)
            rows.append(place.scroll_y)
        page, last = place.size.height - 1, place.max_scroll_y
        assert last > page
        assert rows == [page, last, last - page, 0]

    drive(folder, act, "small")


def test_what_the_file_does_not_say_is_marked(folder: Path) -> None:
    (folder.parent / "c.toml").write_text("network_dim = 7\nmax_train_epochs = 3\n")

    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "c.toml")
        screen = pilot.app.screen
        assert isinstance(screen, ImportedScreen)
        rows = [str(row) for row in screen.lines(100)]
        own = "     the file does not say: sd-scripts' own"
        assert own in rows
        assert rows[next(at for at, row in enumerate(rows) if "→ 7" in row) + 1] != own

    drive(folder, act)


def test_what_is_no_file_of_settings_is_said_in_the_line_at_the_bottom(folder: Path) -> None:
    (folder.parent / "x.json").write_text(json.dumps({"a\x1b[31m": 1}))

    async def act(pilot: Pilot[None]) -> None:
        await choose(pilot, "x.json")
        assert said(pilot)[0] == "x"
        assert "no settings of kohya's programs" in said(pilot)[1]

    drive(folder, act)


def test_the_settings_are_exported_for_sd_scripts_and_it_is_told_what_is_not(folder: Path) -> None:
    before = (folder / "project.toml").read_bytes()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        assert "x export" in text(pilot)
        await press(pilot, "x", "escape")
        assert not (folder / "export").exists()
        await press(pilot, "x", "enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ExportedScreen)
        shown = "\n".join(str(row) for row in screen.lines(200))
        assert str(folder / "export" / "ohwx.toml") in shown
        assert "--config_file" in shown
        assert "the small practice model comes with lora-tui alone" in shown
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, SettingsPage)
        await press(pilot, "x")
        assert pilot.app.focused is not None
        assert pilot.app.focused.value == str(folder / "export-2")  # type: ignore[attr-defined]
        await type_in(pilot, str(folder / "export"))
        await press(pilot, "enter")
        await settle(pilot)
        assert said(pilot)[0] == "x"
        assert "is there already" in said(pilot)[1]

    drive(folder, act)
    assert {path.name for path in (folder / "export").iterdir()} == {"ohwx.toml", "ohwx-dataset.toml"}
    assert (folder / "project.toml").read_bytes() == before
    assert not (folder / "export-2").exists()
