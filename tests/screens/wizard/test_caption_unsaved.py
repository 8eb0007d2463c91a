"""Captions that cannot be saved, as on a full disk: what was typed is never lost, however it is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.caption_history import History
from engine.plan.files import disk_errors, mount_point
from lora_tui import beside
from lora_tui.screens.captions import CaptionsPage
from lora_tui.screens.dialogs import Question
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said

AAA = ("space", *"AAA")
BEFORE = "ohwx, a photo of a man, number 0"


@pytest.fixture
def full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The project's disk takes nothing until this is undone."""
    real = beside._written

    def refuse(*given: object, **more: object) -> None:
        with disk_errors(folder / "img"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(History, "apply", refuse)
    monkeypatch.setattr(beside, "_written", lambda path, words: folder not in path.parents and real(path, words))
    return monkeypatch


def page(pilot: Pilot[None]) -> CaptionsPage:
    screen = pilot.app.screen
    assert isinstance(screen, CaptionsPage)
    return screen


def caption(folder: Path) -> str:
    return (folder / "img" / "2_ohwx man" / "00.txt").read_text().strip()


@pytest.mark.parametrize("size", ["small", "wide"])
@pytest.mark.parametrize("key", ["escape", "enter", "down"])
def test_what_cannot_be_saved_stays_in_the_editor(folder: Path, full: pytest.MonkeyPatch, key: str, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter", *AAA, key)
        assert page(pilot).editor.value == f"{BEFORE} AAA"
        assert pilot.app.focused is page(pilot).editor
        told = f"Not saved: the disk at {mount_point(folder)} is full. Free some space, then Esc saves; your words"
        assert told in " ".join(text(pilot).split())
        full.undo()
        await press(pilot, "escape")
        assert pilot.app.focused is None

    drive(folder, act, size)
    assert caption(folder) == f"{BEFORE} AAA"


def test_another_row_is_not_chosen_while_it_cannot_be_saved(folder: Path, full: pytest.MonkeyPatch) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter", *AAA)
        page(pilot).listing.choose(3)
        await press(pilot)
        assert page(pilot).editor.value == f"{BEFORE} AAA"
        assert page(pilot).here.path.stem == "00"  # type: ignore[union-attr]
        await press(pilot, "escape")
        assert page(pilot).editor.value == f"{BEFORE} AAA"

    drive(folder, act)


def test_what_could_not_be_saved_is_there_again_after_the_app_was_left(folder: Path, full: pytest.MonkeyPatch) -> None:
    async def leave(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter", *AAA, "ctrl+c")

    async def come_back(pilot: Pilot[None]) -> None:
        assert page(pilot).editor.value == f"{BEFORE} AAA"
        assert "could not be saved when it was typed" in said(pilot)[1]
        full.undo()
        await press(pilot, "enter", "escape")

    async def once_more(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        assert pilot.app.focused is None

    drive(folder, leave)
    assert caption(folder) == BEFORE
    drive(folder, come_back)
    assert caption(folder) == f"{BEFORE} AAA"
    drive(folder, once_more)


def test_tags_that_cannot_be_saved_stay_and_are_there_again(folder: Path, full: pytest.MonkeyPatch) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "t", "home", "x", "escape")
        assert page(pilot).chips_shown
        assert "Not saved" in said(pilot)[1]
        await press(pilot, "5", "4")
        assert page(pilot).chips.row.tags == ["a photo of a man", "number 0"]

    async def come_back(pilot: Pilot[None]) -> None:
        assert page(pilot).editor.value == "a photo of a man, number 0"
        full.undo()

    drive(folder, act)
    drive(folder, come_back)
    assert caption(folder) == "a photo of a man, number 0"


def test_where_no_disk_takes_anything_the_app_asks_before_it_is_left(folder: Path, full: pytest.MonkeyPatch) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter", *AAA)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(beside, "_written", lambda path, words: False)
            await press(pilot, "ctrl+c")
        assert isinstance(pilot.app.screen, Question)
        assert "The caption of 00.png could not be saved" in text(pilot)
        full.undo()
        await press(pilot, "escape", "escape")

    drive(folder, act)
    assert caption(folder) == f"{BEFORE} AAA"
