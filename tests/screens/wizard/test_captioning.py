"""Automatic captions in the wizard: options, start, each caption as it comes, stop, and coming back to it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.pictures import Measures
from engine.plan.project import Project
from engine.plan.wanted_captions import Counts, Folders
from engine.runs import launch
from engine.runs.folder import list_runs
from engine.runs.lock import look
from lora_tui import captioning
from lora_tui.screens.captioning import CaptioningScreen
from lora_tui.screens.captions import CaptionsPage
from tests.screens.app_test import SIZES, text, until
from tests.screens.wizard.driving import drive, press, said, settle, type_in, until_said, until_shown

SLOW = """
import time
from pathlib import Path
import engine.caption.job as job
real = job.load

class Waits:
    def __init__(self, inner): self.inner = inner
    def caption(self, pictures):
        said = self.inner.caption(pictures)
        while not Path({go!r}).exists(): time.sleep(0.02)
        return said

job.load = lambda *given: Waits(real(*given))
from engine.__main__ import main
raise SystemExit(main())
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_tui.screens.captioning.TICK_SECONDS", 0.05)


@pytest.fixture
def bare(folder: Path) -> Path:
    """The project without captions, whose captions are file names."""
    for path in folder.glob("img/*/*.txt"):
        path.unlink()
    project = Project.open(folder)
    project.captioning = {"model": "filename"}
    project.save()
    return folder


async def until_it_says(pilot: Pilot[None], words: str) -> None:
    await until_said(pilot, words, CaptioningScreen)


def test_captions_are_written_and_the_step_knows_of_them(bare: Path) -> None:
    picture = next(bare.glob("img/*/*.png"))
    picture.rename(picture.with_name("a [red]\x1b[31m\u202e.png"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "6 captions will be written")
        assert "For example: ohwx, the name of the file" in text(pilot)
        await press(pilot, "s")
        await until_it_says(pilot, "6 captions written")
        assert "ohwx, a [red] [31m\\u202e" in text(pilot)
        assert "\x1b" not in text(pilot)
        await press(pilot, "o")
        await until_it_says(pilot, "6 captions written")
        assert "Words in front" in text(pilot)
        await press(pilot, "escape")
        assert "no caption yet" not in text(pilot)

    drive(bare, act)
    assert len(list(bare.glob("img/*/*.txt"))) == 6


def test_one_key_takes_back_what_a_job_wrote_while_the_step_was_open(folder: Path) -> None:
    """And not the option that was chosen before it, which is the newest change that this screen has seen."""
    before = {path: path.read_bytes() for path in folder.glob("img/*/*.txt")}

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "u")  # which has read what there is to take back: nothing
        await press(pilot, "c")
        await press(pilot, *["right"] * 5)  # the names of the files
        await press(pilot, "down", "down", "down", "right", "right")
        assert Project.open(folder).captioning == {"model": "filename", "existing": "replace"}
        await until_it_says(pilot, "6 captions will be replaced")
        await press(pilot, "s")
        await until_it_says(pilot, "6 captions written")
        await press(pilot, "escape")
        page = pilot.app.screen
        assert isinstance(page, CaptionsPage)
        page.look_at_files()
        assert "another program" not in said(pilot)[1]
        await press(pilot, "u")
        await until_taken_back(pilot, "6 captions")
        assert {path: path.read_bytes() for path in before} == before
        await press(pilot, "y")
        await until_taken_back(pilot, "6 captions", "Done again")

    drive(folder, act)
    assert Project.open(folder).captioning["existing"] == "replace"


def test_what_was_written_is_taken_back_where_it_is_shown(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.glob("img/*/*.txt")}
    project = Project.open(folder)
    project.captioning = {"model": "filename"}
    project.save()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c", "down", "down", "down", "right", "right")
        await until_it_says(pilot, "6 captions will be replaced")
        await press(pilot, "s")
        await until_it_says(pilot, "6 captions written")
        await press(pilot, "u")
        await until_it_says(pilot, "Taken back: captioning with file names (6 captions).")
        assert {path: path.read_bytes() for path in before} == before
        assert "Words in front" in text(pilot)
        await press(pilot, "up")
        await until_it_says(pilot, "6 captions will be replaced")
        await press(pilot, "up", "up", "right", "u")  # an option that was set since
        assert "Taken back: " in said(pilot)[1]
        assert Project.open(folder).captioning == {"model": "filename", "existing": "replace"}
        await press(pilot, "u")  # one that was set before
        assert Project.open(folder).captioning == {"model": "filename", "existing": "append"}

    drive(folder, act)


async def until_taken_back(pilot: Pilot[None], what: str, begin: str = "Taken back") -> None:
    await until(pilot, lambda: said(pilot)[1].startswith(begin) and what in said(pilot)[1])


def test_options_are_kept_in_the_project_checked_and_taken_back(bare: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c", "down", "down", "enter")
        await type_in(pilot, "in oil")
        await press(pilot, "enter")
        assert Project.open(bare).captioning["suffix"] == "in oil"
        assert "the name of the file, in oil" in text(pilot)
        await press(pilot, "up", "up", "enter")
        await type_in(pilot, "blop")
        await press(pilot, "enter")
        assert said(pilot)[0] == "x"
        assert "blop" in said(pilot)[1]
        await press(pilot, "escape", "down", "down", "down", "right")
        assert Project.open(bare).captioning["existing"] == "append"
        await press(pilot, "d")
        assert "existing" not in Project.open(bare).captioning
        await press(pilot, "u", "u")
        assert "suffix" in Project.open(bare).captioning
        await press(pilot, "m")
        assert "Beams" in text(pilot)

    drive(bare, act)


def test_lengths_that_cross_are_told(bare: Path) -> None:
    project = Project.open(bare)
    project.captioning = {"model": "micro", "min_length": 30, "max_length": 20}
    project.save()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "6 captions will be written")
        assert "(min_length 30) is above" in text(pilot)
        pilot.app.screen.form.choose("model")  # type: ignore[attr-defined]
        await press(pilot, "d", "m")
        pilot.app.screen.form.choose("min_length")  # type: ignore[attr-defined]
        await press(pilot, "d", "left")
        assert "is above" not in text(pilot)

    drive(bare, act)


def test_captions_are_counted_once_and_not_at_each_option(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    count = captioning.count_captions

    def counting(project: Project, folders: Folders, extension: str, measures: Measures) -> Counts:
        counted.append(folders)
        return count(project, folders, extension, measures)

    monkeypatch.setattr(captioning, "count_captions", counting)
    file = sorted(bare.glob("img/*/*.png"))[0].with_suffix(".txt")
    file.write_text("by hand\n", encoding="utf-8")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "5 captions will be written")
        await press(pilot, "down", "down", "down", "right")
        await until_it_says(pilot, "1 added to")
        await press(pilot, "right")
        await until_it_says(pilot, "1 replaced")
        assert counted == ["train"]
        file.unlink()
        await press(pilot, "right")
        await until_it_says(pilot, "6 captions will be written")
        assert counted == ["train"] * 2
        await press(pilot, "down", "right")
        await settle(pilot)
        assert counted[2:] == ["reg"]

    drive(bare, act)


def test_it_goes_on_when_the_app_is_left_and_is_found_and_stopped(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", SLOW.format(go=str(go))))

    async def begin(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "6 captions")
        await press(pilot, "s")
        await until_it_says(pilot, "Captioning, 0 of 6")
        await press(pilot, "s")
        await until_it_says(pilot, "at work already")

    async def come_back(pilot: Pilot[None]) -> None:
        await press(pilot, "c")
        await until_it_says(pilot, "Captioning, 0 of 6")
        await press(pilot, "x")
        (run,) = list_runs(bare)
        go.touch()
        await until_it_says(pilot, "Stopped")
        while look(run).status == "held":
            await asyncio.sleep(0.02)
        # The same again goes on in the same run.
        await press(pilot, "o", "s")
        await until_it_says(pilot, "6 captions")
        assert list_runs(bare) == [run]

    project = Project.open(bare)
    project.captioning["batch_size"] = 1
    project.save()
    drive(bare, begin)
    drive(bare, come_back)
    assert len(list(bare.glob("img/*/*.txt"))) == 6


def test_no_key_changes_options_that_cannot_be_seen(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", SLOW.format(go=str(go))))
    before = (bare / "project.toml").read_text()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "6 captions will be written")
        await press(pilot, "down", "down", "enter", "i", "n")
        pilot.app.screen.action_begin()  # type: ignore[attr-defined]  # as where it is typed before the engine has come
        await until_it_says(pilot, "Captioning, 0 of 6")
        form = pilot.app.screen.form  # type: ignore[attr-defined]
        for _ in range(2):  # at work, and when it is over
            here = form.here
            await press(pilot, "right", "enter", "up", "left", "d", "m", "down", "enter")
            assert (form.here, form.editing, pilot.app.focused) == (here, False, None)
            go.touch()
            await until_it_says(pilot, "6 captions written")
        await press(pilot, "o")
        assert form.half_typed == ("suffix", "in")
        await press(pilot, "escape")

    drive(bare, act)
    assert (bare / "project.toml").read_text() == before


def test_a_captioner_that_is_not_here_is_offered_with_what_it_weighs(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    project = Project.open(bare)
    project.captioning = {"model": "blip"}
    project.save()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "6 captions will be written")
        await pilot.press("s")
        await until_shown(pilot, "Download it")
        assert "1.9 GB" in text(pilot)
        assert "Salesforce/blip-image-captioning-large" in text(pilot)
        await press(pilot, "escape")
        assert "Words in front" in text(pilot)

    drive(bare, act)
    assert not list_runs(bare)


def test_without_pictures_nothing_is_offered_for_download(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for picture in bare.glob("img/*/*.png"):
        picture.unlink()
    project = Project.open(bare)
    project.captioning = {"model": "blip"}
    project.save()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        pilot.app.screen._counts = None  # type: ignore[attr-defined]  # as while they are being counted
        await press(pilot, "s")
        await until_it_says(pilot, "There is no picture in")

    drive(bare, act)


@pytest.mark.parametrize("size", ["small", "wide", "huge", "narrow"])
def test_it_has_room_everywhere_and_leads_on(bare: Path, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "6 captions will")
        shown = text(pilot)
        assert all(len(row) <= SIZES[size][0] for row in shown.splitlines())
        assert "Write the captions" in shown
        await press(pilot, "n")
        assert "5 of 9" in text(pilot)
        await press(pilot, "b")
        assert isinstance(pilot.app.screen, CaptioningScreen) is False
        await press(pilot, "c", "q")

    drive(bare, act, size)


def test_a_value_in_the_file_that_is_none_is_told_and_can_be_mended(bare: Path) -> None:
    file = bare / "project.toml"
    file.write_text(file.read_text().replace('model = "filename"', 'model = "filename"\nnum_beams = "[b]many"'))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "c")
        await until_it_says(pilot, "num_beams must be a whole number")
        await press(pilot, "s")
        assert said(pilot)[0] == "x"
        await press(pilot, "m")
        assert "[b]many" in text(pilot)
        pilot.app.screen.form.choose("num_beams")  # type: ignore[attr-defined]
        await press(pilot, "d")
        await until_it_says(pilot, "6 captions will be written")

    drive(bare, act)
    assert "many" not in file.read_text()
