"""Several subjects in a project: the editor of captions and the captioner know whom each folder shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.project import Project
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, settle
from tests.screens.wizard.test_captions import page, until
from tests.training import picture


@pytest.fixture
def two(folder: Path) -> Path:
    """A man in six pictures, and a dog in one that has no caption."""
    picture(folder / "img" / "1_rexo dog" / "d.png", 30)
    return folder


def test_an_empty_caption_begins_with_the_trigger_of_its_own_subject(two: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        await until(pilot, lambda: page(pilot).desk.wanting == 1)
        await press(pilot, "m")
        assert said(pilot)[1].startswith("d.png")
        assert "Behind rexo say" in text(pilot)
        await press(pilot, "enter")
        assert page(pilot).editor.value == "rexo, "
        await press(pilot, *"a dog", "escape")
        await until(pilot, lambda: page(pilot).desk.wanting == 0)

    drive(two, act)
    assert (two / "img" / "1_rexo dog" / "d.txt").read_text() == "rexo, a dog\n"


@pytest.mark.parametrize(("keys", "begins"), [((), ""), (("m", "space"), "rexo, ")])
def test_words_in_front_of_many_begin_with_the_trigger_that_all_have(
    two: Path, keys: tuple[str, ...], begins: str
) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        await until(pilot, lambda: page(pilot).desk.wanting == 1)
        await press(pilot, *keys, "o", "down", "enter")
        assert page(pilot).ask_row.value == begins

    drive(two, act)


def test_the_captioner_says_whom_the_folders_show_and_what_auto_takes(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until(pilot, lambda: "1 caption will be written" in said(pilot)[1])
        await settle(pilot)
        shown = " ".join(text(pilot).replace("│", " ").split())
        assert "the trigger word and the class of what it shows: ohwx man and" in shown
        assert "which is ohwx or another subject's" in shown
        assert "takes micro, which is here" in shown

    drive(two, act)


def test_what_auto_takes_may_be_a_download(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    project = Project.open(folder)
    project.settings["pretrained_model_name_or_path"] = "stabilityai/stable-diffusion-xl-base-1.0"
    project.save()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until(pilot, lambda: "takes blip, a download of 1.9 GB" in " ".join(text(pilot).split()))

    drive(folder, act)
