"""The third step: how many and why, making them in an engine that goes on, options, and looking through them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from textual.pilot import Pilot

from engine.plan.project import Project
from engine.plan.regularisation import Need
from engine.plan.regularising import RegularisingOptions
from engine.runs.folder import list_runs
from lora_tui import regularising
from lora_tui.reg_words import of_needs
from lora_tui.regularising import Outlook
from lora_tui.screens.regularisation import RegularisationPage
from lora_tui.screens.regularisation_pictures import RegularisationPictures
from lora_tui.widgets.form import Form
from tests import regularising_engine
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, settle, type_in, until_shown


async def choose(pilot: Pilot[None], row: str) -> None:
    pilot.app.screen.query_one(Form).choose(row)
    await settle(pilot)


def pictures(folder: Path, count: int) -> Path:
    here = folder / "reg" / "1_man"
    here.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (96, 96), (number, 0, 0)).save(here / f"{number}.png")
        (here / f"{number}.txt").write_text("man")
    return here


@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_how_many_and_why_is_said_with_the_ways_to_have_them(folder: Path, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3")
        shown = " ".join(text(pilot).split())
        assert "6 pictures × 2 repeats = 12 are seen in an epoch" in shown
        assert "None are here." in shown
        assert "Make them here 12 pictures of" in shown
        for way in ("Take them from a folder", "From Hugging Face", "Without: hold the class", "Go on without"):
            assert way in shown
        assert "Draws them with the base model" in shown

    drive(folder, act, size)


def test_a_class_that_another_crowds_out_is_told(folder: Path, tmp_path: Path) -> None:
    dog = Need("dog", tmp_path, ((2, 2),), (1,) * 18, shared=(1,) * 16 + (0,) * 2, homes=("1_dog",) * 18)
    man = Need("man", tmp_path, ((6, 2),), (1,) * 12, shared=(0,) * 12, homes=("1_man",) * 12)
    rows = [row.plain for row in of_needs([dog, man], Project.open(folder), 200, roomy=False)]
    assert " dog: 2 pictures × 2 repeats = 4 should be seen in an epoch; 16 are." in rows
    assert " 12 are here, not used." in rows
    assert rows[-1] == " Leave 14 of 1_dog out (step 3, v) or move them away: then each is used once."


def test_pictures_are_taken_over_for_the_class_that_is_said(folder: Path, tmp_path: Path) -> None:
    for place in (folder / "img" / "2_rexo dog", tmp_path / "dogs"):
        place.mkdir()
        Image.new("RGB", (96, 96), (9, 90, 120)).save(place / "1.png")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3", "a")
        await type_in(pilot, str(tmp_path / "dogs"))
        await press(pilot, "enter")
        assert "What do these pictures show?" in text(pilot)
        await press(pilot, "down", "enter")
        await until_shown(pilot, "1 picture taken over")

    drive(folder, act)
    assert (folder / "reg" / "1_dog" / "1.png").is_file()


def test_a_data_set_is_fetched_for_the_class_that_is_said(folder: Path) -> None:
    look_out = Outlook((Need("man", folder, ((3, 2),)), Need("dog", folder, ((2, 2),))), RegularisingOptions(), (8, 8))
    job = regularising.fetch_job(Project.open(folder), "owner/name", look_out, "dog")
    assert (job.arguments["to"], job.arguments["count"]) == (str(folder / "reg" / "1_dog"), 4)


def test_they_are_made_by_an_engine_that_goes_on_and_is_found_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regularising, "start", regularising_engine.start)

    async def begin(pilot: Pilot[None]) -> None:
        await press(pilot, "3", "enter")
        await until_shown(pilot, "50 of 200 pictures, step 3 of 20")
        await press(pilot, "n", "b")
        await until_shown(pilot, "50 of 200 pictures")

    async def come_back(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app.screen, RegularisationPage)  # the app opens where it was left
        await until_shown(pilot, "50 of 200 pictures")
        await press(pilot, "s")
        await until_shown(pilot, "50 pictures made")
        assert "Make them here" in text(pilot)

    drive(folder, begin)
    (run,) = list_runs(folder)
    assert run.job.arguments["options"]["prompt"] == "a photo of a CLASS"
    assert run.job.arguments["classes"] == [
        {"class": "man", "folder": str(folder / "reg" / "1_man"), "wanted": 12, "elsewhere": 0}
    ]
    drive(folder, come_back, "small")


def test_without_a_base_model_it_is_said_where_one_is_chosen(folder: Path) -> None:
    file = folder / "project.toml"
    file.write_text("\n".join(row for row in file.read_text().splitlines() if "pretrained" not in row))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3")
        assert "step 5 chooses one first" in text(pilot)
        await press(pilot, "enter")
        assert said(pilot) == ("x", "They are drawn with the base model: step 5 chooses one.")

    drive(folder, act)
    assert list_runs(folder) == []


def test_options_are_kept_in_the_project_and_nonsense_stays_in_its_row(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3")
        await choose(pilot, "steps")
        await press(pilot, "enter")
        await type_in(pilot, "0")
        await press(pilot, "enter")
        assert said(pilot)[0] == "x"
        assert "steps must be a whole number from 1" in said(pilot)[1]
        await type_in(pilot, "30")
        await press(pilot, "enter")
        assert Project.open(folder).regularising == {"steps": 30}
        await choose(pilot, "captions")
        await press(pilot, "right")
        await choose(pilot, "count")
        await press(pilot, "right")
        assert Project.open(folder).regularising == {"steps": 30, "captions": "prompt", "count": "all"}
        await press(pilot, "d")
        await press(pilot, "u", "u", "u", "u")
        assert Project.open(folder).regularising == {}

    drive(folder, act)


def test_one_key_holds_the_class_without_pictures_and_another_takes_it_back(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3", "p")
        assert Project.open(folder).settings["diff_output_preservation_multiplier"] == 1.0
        assert "two and a half times as long. u takes it back" in said(pilot)[1]
        await press(pilot, "u")
        assert "diff_output_preservation_multiplier" not in Project.open(folder).settings

    drive(folder, act)


def test_pictures_are_looked_through_left_out_and_thrown_away(folder: Path) -> None:
    here = pictures(folder, 3)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3", "v")
        assert isinstance(pilot.app.screen, RegularisationPictures)
        await press(pilot, "down", "space")
        assert Project.open(folder).left_out == ["reg/1_man/1.png"]
        await press(pilot, "home", "delete", "down", "enter")
        assert not (here / "0.png").exists()
        await until_shown(pilot, "2 regularisation pictures")
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, RegularisationPage)
        await choose(pilot, "remove")
        await press(pilot, "enter", "down", "enter")
        await until_shown(pilot, "2 moved to .lora-tui/trash")

    drive(folder, act)
    assert list(here.iterdir()) == []
    thrown = sorted(path.name for path in (folder / ".lora-tui" / "trash").glob("*/1_man/*"))
    assert thrown == ["0.png", "0.txt", "1.png", "1.txt", "2.png", "2.txt"]


@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_to_do_without_those_that_are_here_leaves_them_out_in_one_edit(folder: Path, size: str) -> None:
    here = pictures(folder, 3)
    files = sorted(here.iterdir())
    project = Project.open(folder)
    project.left_out = ["reg/1_man/1.png"]
    project.save()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3")
        await choose(pilot, "without")
        shown = " ".join(text(pilot).split())
        assert "Go on without" not in shown
        assert "Leave all 2 out an epoch is half as long; files stay" in shown
        assert "2 are here, each used 6 times. 1 more is left out." in shown
        await press(pilot, "enter")
        assert sorted(Project.open(folder).left_out) == [f"reg/1_man/{number}.png" for number in range(3)]
        assert said(pilot) == ("ok", "2 pictures left out; u takes them back, n goes on without.")
        shown = " ".join(text(pilot).split())
        assert "None are used; 3 here are left out." in shown
        assert pilot.app.screen.query_one(Form).here == "without"
        assert "Go on without" in shown
        await press(pilot, "u")
        assert Project.open(folder).left_out == ["reg/1_man/1.png"]
        await choose(pilot, "without")
        await press(pilot, "enter")
        await choose(pilot, "back")
        await press(pilot, "enter")
        assert Project.open(folder).left_out == []
        assert said(pilot)[1] == "3 pictures used again; u leaves them out."
        assert pilot.app.screen.query_one(Form).here == "without"
        await press(pilot, "u")
        await choose(pilot, "without")
        await press(pilot, "enter")
        assert "4 of 9" in text(pilot)

    drive(folder, act, size)
    assert sorted(here.iterdir()) == files


def test_what_is_no_data_set_stays_in_its_row(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "3")
        await choose(pilot, "hub")
        await press(pilot, "enter")
        await type_in(pilot, "nonsense")
        await press(pilot, "enter")
        assert said(pilot)[0] == "x"
        assert "is not the name of a data set" in said(pilot)[1]
        await press(pilot, "escape")

    drive(folder, act)
    assert list_runs(folder) == []
