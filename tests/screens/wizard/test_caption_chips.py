"""The tags of a caption as chips: what the keys of the page do meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from lora_tui.screens.captions import CaptionsPage
from lora_tui.widgets.caption_input import CaptionInput
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, said

TAGS = ["ohwx", "a photo of a man", "number 1"]
CHANGED = "a photo of a man, number 1"


def page(pilot: Pilot[None]) -> CaptionsPage:
    screen = pilot.app.screen
    assert isinstance(screen, CaptionsPage)
    return screen


def caption(folder: Path) -> str:
    return (folder / "img" / "2_ohwx man" / "01.txt").read_text().strip()


async def chips_without_the_first_tag(pilot: Pilot[None]) -> None:
    """Of the second picture, where the chips have gone down to it."""
    await press(pilot, "4", "t", "down")
    assert page(pilot).chips.row.tags == TAGS
    await press(pilot, "home", "x")


@pytest.mark.parametrize("key", ["o", "l", "r", "f", "a", "A", "m", "v", "s", "tab", "pagedown"])
def test_keys_of_the_list_end_the_chips_first(folder: Path, key: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await chips_without_the_first_tag(pilot)
        await press(pilot, key)
        assert not page(pilot).chips_shown
        assert caption(folder) == CHANGED
        assert pilot.app.focused is not page(pilot).chips
        assert not page(pilot).chips.display
        if key in "olrf":
            assert page(pilot).here.path.stem == "01"  # type: ignore[union-attr]
            await press(pilot, "escape")
        assert page(pilot).query_one(CaptionInput).display

    drive(folder, act)
    assert caption(folder) == CHANGED


@pytest.mark.parametrize("keys", ["w", "/", "z", "?", "!", ":", "5"])
def test_keys_that_show_another_screen_leave_the_chips_as_they_are(folder: Path, keys: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await chips_without_the_first_tag(pilot)
        await press(pilot, {"/": "slash", "?": "question_mark", "!": "exclamation_mark", ":": "colon"}.get(keys, keys))
        await press(pilot, "4" if keys == "5" else "escape")
        assert page(pilot).chips_shown
        assert pilot.app.focused is page(pilot).chips
        assert page(pilot).chips.row.tags == TAGS[1:]
        await press(pilot, "escape")

    drive(folder, act)
    assert caption(folder) == CHANGED


def test_automatic_captions_find_the_tags_saved(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await chips_without_the_first_tag(pilot)
        await press(pilot, "c")
        assert caption(folder) == CHANGED
        await press(pilot, "escape")
        assert not page(pilot).chips_shown

    drive(folder, act)


def test_what_is_trained_is_shown_in_place_of_the_chips(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await chips_without_the_first_tag(pilot)
        await until(pilot, lambda: page(pilot).wizard.survey is not None)
        await press(pilot, "v")
        assert said(pilot)[1].startswith("As trained in epoch 1")
        assert page(pilot).shown_text() in text(pilot)
        assert page(pilot).drawn == 1

    drive(folder, act)
