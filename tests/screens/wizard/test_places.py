"""The whole app again: keys that arrive together, and large terminals."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from engine.plan.project import Project
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, settle


def test_keys_that_come_in_one_piece_do_what_they_would_one_by_one(folder: Path) -> None:
    """As a slow line hands them over, and people who know the way."""

    async def act(pilot: Pilot[None]) -> None:
        keys = [
            "6",
            "down",
            "down",
            "enter",
            "backspace",
            "7",
            "enter",
            "enter",
            "backspace",
            "9",
            "enter",
            "8",
        ]
        for key in keys:
            pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: "8 of 9" in text(pilot))

    drive(folder, act)
    settings = Project.open(folder).settings
    assert (settings["train_batch_size"], settings["max_train_epochs"]) == (7, 9)


def test_what_is_pasted_comes_after_the_keys_that_were_pressed_before_it(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1")
        for key in ("down", "enter"):
            pilot.app.post_message(events.Key(key, None))
        pilot.app.post_message(events.Paste("zibo"))
        pilot.app.post_message(events.Key("enter", None))
        await until(pilot, lambda: Project.open(folder).trigger != "ohwx")

    drive(folder, act)
    assert "zibo" in Project.open(folder).trigger


def test_a_large_terminal_shows_all_settings_at_once_and_tab_goes_between_their_parts(folder: Path) -> None:
    from lora_tui.widgets.form import Form

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        shown = text(pilot)
        assert "Batch size" in shown
        assert "Advanced" in shown
        form = pilot.app.screen.query_one(Form)
        places = []
        for _ in range(3):
            await press(pilot, "tab")
            places.append(form.here)
        assert places == ["vae", "sample_every_n_steps", "preset"]
        await press(pilot, *["down"] * 16)
        assert "[Advanced]" in text(pilot)

    drive(folder, act, "huge")


@pytest.mark.parametrize(("words", "screen"), [("machine", "MachineScreen"), ("warnings", "FoundScreen")])
def test_the_palette_does_what_keys_of_the_app_and_of_the_screen_do(folder: Path, words: str, screen: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", "colon", *words, "enter")
        assert type(pilot.app.screen).__name__ == screen

    drive(folder, act)


def test_the_chosen_row_stays_in_sight_when_the_terminal_shrinks(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", *["down"] * 14)
        await pilot.resize_terminal(80, 16)
        await settle(pilot)
        assert "▸" in "".join(text(pilot).splitlines()[2:])

    drive(folder, act)


def test_projects_of_one_name_are_told_apart(folder: Path, tmp_path: Path) -> None:
    import shutil

    from lora_tui import recent

    for place in ("first", "second"):
        shutil.copytree(folder, tmp_path / place / "zibo")
        recent.remember(tmp_path / place / "zibo")

    async def act(pilot: Pilot[None]) -> None:
        for place in ("first", "second"):
            await until(pilot, lambda: f"/{place}, not trained yet" in text(pilot))  # noqa: B023

    drive(None, act, "small")


@pytest.mark.parametrize(("step", "keys", "row"), [("6", ["tab", "down", "down"], "seed"), ("1", ["down"], "trigger")])
def test_the_app_opens_on_the_row_where_it_was_left(folder: Path, step: str, keys: list[str], row: str) -> None:
    from lora_tui.widgets.form import Form

    chosen = []

    async def leave(pilot: Pilot[None]) -> None:
        await press(pilot, step, *keys)
        chosen.append(pilot.app.screen.query_one(Form).here)
        await press(pilot, "q")

    async def come_back(pilot: Pilot[None]) -> None:
        chosen.append(pilot.app.screen.query_one(Form).here)

    drive(folder, leave)
    drive(folder, come_back)
    assert chosen[0] == chosen[1] != ""
    assert step == "6" or chosen[0] == row


@pytest.mark.parametrize("step", ["2", "4"])
def test_lists_go_by_pages_and_open_where_they_were_left(folder: Path, step: str) -> None:
    from lora_tui.screens.list_page import ListPage

    pictures = folder / "img" / "2_ohwx man"
    for number in range(200):
        (pictures / f"写真 {number:03}.png").hardlink_to(pictures / "00.png")
    places = []

    async def leave(pilot: Pilot[None]) -> None:
        page = pilot.app.screen
        await press(pilot, step)
        page = pilot.app.screen
        assert isinstance(page, ListPage)
        await press(pilot, "end")
        assert page.listing.here == 205
        await press(pilot, "home", "right", "right", "left", "down")
        # What is said of a picture takes more lines of some than of others, so a page has not always as many rows.
        assert abs(page.listing.here - page.listing.page - 1) <= 4
        places.append(page.here)
        row = next(line for line in text(pilot).splitlines() if "▸" in line[27:] and "写真" in line)
        assert "写真 0" in row
        assert "png  " in row or "png 写" not in row
        await press(pilot, "q")

    async def come_back(pilot: Pilot[None]) -> None:
        page = pilot.app.screen
        assert isinstance(page, ListPage)
        assert page.here is not None
        assert page.here.path == places[0].path

    drive(folder, leave)
    drive(folder, come_back)


def test_the_list_of_projects_leads_back_into_the_open_one(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        pages = pilot.app.pages  # type: ignore[attr-defined]
        await press(pilot, "6", "down", "down", "right", "escape")
        await until(pilot, lambda: "not trained yet" in text(pilot))
        await press(pilot, "enter")
        assert pilot.app.pages is pages  # type: ignore[attr-defined]
        assert "6 of 9" in text(pilot)
        await press(pilot, "u")
        assert "Batch size" in text(pilot).splitlines()[-2]

    drive(folder, act)
