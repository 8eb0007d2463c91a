"""The wizard by its keys: every step is shown, says what is missing, and edits the project and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine.plan.project import Project
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.steps import STEPS
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, said, settle, type_in


@pytest.mark.parametrize("size", ["small", "wide", "huge", "narrow"])
def test_every_step_is_shown_at_every_size(folder: Path, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        for number, step in enumerate(STEPS, 1):
            await press(pilot, str(number))
            shown = text(pilot)
            assert f"{number} of 9" in shown.splitlines()[0]
            assert step.title in shown
            last = shown.splitlines()[-1]
            assert "? help" in last
            assert "q leave" in last

    assert not drive(folder, act, size).crashed


def test_next_and_back_and_what_stays(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        first = pilot.app.screen
        await press(pilot, "n", "n", "b", "b")
        assert pilot.app.screen is first  # one screen a step, kept
        await press(pilot, "b")
        assert pilot.app.screen is first
        await press(pilot, "9", "n")
        assert isinstance(pilot.app.screen, WizardPage)
        assert pilot.app.screen.STEP == "results"

    drive(folder, act)


def test_the_app_opens_where_it_was_left(folder: Path) -> None:
    async def leave(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "tab")

    async def come_back(pilot: Pilot[None]) -> None:
        assert "6 of 9" in text(pilot)

    drive(folder, leave)
    drive(folder, come_back)


def test_a_setting_is_edited_in_its_row_and_saved(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "down", "down", "enter")  # batch size
        await type_in(pilot, "3")
        assert "Enter takes it" in said(pilot)[1]
        await press(pilot, "enter")  # goes on to the epochs
        await press(pilot, "right", "right")

    drive(folder, act)
    settings = Project.open(folder).settings
    assert (settings["train_batch_size"], settings["max_train_epochs"]) == (3, 6)


def test_a_value_that_does_not_fit_is_told_as_it_is_typed_and_kept(folder: Path) -> None:
    before = (folder / "project.toml").read_text()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "down", "down", "enter")
        await type_in(pilot, "two")
        mark, sentence = said(pilot)
        assert (mark, "must be a whole number" in sentence) == ("x", True)
        await press(pilot, "enter")
        assert "two" in text(pilot)
        await press(pilot, "n")
        assert "1 value that you typed" in said(pilot)[1]

    drive(folder, act)
    assert (folder / "project.toml").read_text() == before

    async def again(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        assert "two" in text(pilot)
        assert "1 value that you typed cannot be used yet" in said(pilot)[1]
        await press(pilot, "d")  # the row is chosen still
        assert "two" not in text(pilot)

    drive(folder, again)


def test_esc_leaves_a_value_as_it_was(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "down", "down", "enter")
        await type_in(pilot, "7")
        await press(pilot, "escape")
        assert "6 of 9" in text(pilot)

    drive(folder, act)
    assert Project.open(folder).settings["train_batch_size"] == 2


def found(pilot: Pilot[None]) -> list[object]:
    """What the palette offers."""
    return list(pilot.app.screen.query(OptionList).first().options)


@pytest.mark.parametrize(
    ("query", "option"),
    [("memory", "gradient_checkpointing"), ("overfitting", "max_train_epochs"), ("rank", "network_dim")],
)
def test_an_option_is_found_by_what_it_does(folder: Path, query: str, option: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", "slash", *query)
        await until(pilot, lambda: option in text(pilot) or option in str(found(pilot)))
        await press(pilot, "escape")

    drive(folder, act, "huge")


def test_trigger_and_class(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", "down", "enter")
        await type_in(pilot, "man")
        await press(pilot, "enter")
        assert said(pilot)[0] == "!"
        assert "class" in said(pilot)[1]
        await press(pilot, "up", "enter")
        await type_in(pilot, "zibo")
        await press(pilot, "enter", "enter")
        await type_in(pilot, "woman")
        await press(pilot, "enter")

    drive(folder, act)
    project = Project.open(folder)
    assert (project.trigger, project.class_name) == ("zibo", "woman")
    assert (folder / "img" / "2_ohwx man").is_dir()  # never renamed


def test_repeats_are_changed_in_the_file_and_not_in_the_folders_name(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", "down", "down", "down", "right")

    drive(folder, act)
    assert Project.open(folder).repeats == {"2_ohwx man": 3}


def test_a_picture_is_left_out_and_taken_in_again(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "down", "space")
        assert "left out" in text(pilot)
        await press(pilot, "down", "space", "space")

    drive(folder, act)
    assert Project.open(folder).left_out == ["img/2_ohwx man/01.png"]


def test_captions_one_after_the_other(folder: Path) -> None:
    captions = sorted(folder.rglob("*.txt"))
    captions[0].unlink()
    captions[1].unlink()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "m")
        assert "no caption" in text(pilot)
        await press(pilot, "up", "enter")  # 00: it begins with the trigger
        await press(pilot, *"face", "enter")  # saves, and edits the next
        await press(pilot, *"hat", "enter", "escape")

    drive(folder, act)
    assert captions[0].read_text() == "ohwx, face\n"
    assert captions[1].read_text() == "ohwx, hat\n"
    assert captions[2].read_text() == "ohwx, a photo of a man, number 2"  # opened and not changed: not a byte


def test_captions_are_taken_back_one_by_one_before_anything_else(folder: Path) -> None:
    pictures = folder / "img" / "2_ohwx man"
    first, second = pictures / "00.txt", pictures / "01.txt"
    second.unlink()
    was = first.read_text()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "down", "down", "right", "4", "home", "enter")
        await type_in(pilot, "ohwx, changed")
        await press(pilot, "enter")
        await press(pilot, *"hat", "enter", "escape")
        assert (first.read_text(), second.read_text()) == ("ohwx, changed\n", "ohwx, hat\n")
        await press(pilot, "u")
        assert said(pilot)[1] == "Taken back: the caption of 01.png."
        assert not second.exists()
        assert first.read_text() == "ohwx, changed\n"
        await press(pilot, "u")
        assert first.read_text().strip() == was.strip()
        await press(pilot, "u")
        assert said(pilot)[1] == "Taken back: Batch size."

    drive(folder, act)


def test_a_lost_terminal_loses_no_caption(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter")
        await press(pilot, *" in a coat".replace(" ", "~"))  # and the app ends, as on SIGHUP

    drive(folder, act)
    assert "in~a~coat" in (folder / "img" / "2_ohwx man" / "00.txt").read_text()


def test_the_review_says_why_it_cannot_start(folder: Path) -> None:
    path = folder / "project.toml"
    path.write_text(path.read_text().replace('"micro"', '"/nowhere.safetensors"'))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7", "s")
        mark, sentence = said(pilot)
        assert (mark, "does not exist" in sentence) == ("x", True)
        assert not list((folder / "runs").glob("*"))

    drive(folder, act)


def test_what_was_found_is_listed_with_remedies(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "7", "w")
        assert "What was found" in text(pilot)
        await press(pilot, "escape")
        assert "7 of 9" in text(pilot)

    drive(folder, act)


def test_a_new_project_from_a_folder_of_pictures(folder: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "my pictures"
    shutil.copytree(folder / "img" / "2_ohwx man", pictures)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "a", "enter")
        await type_in(pilot, "zibo")
        await press(pilot, "enter", "enter")
        await type_in(pilot, "man")
        await press(pilot, "enter", "down", "enter")
        await type_in(pilot, f"'{pictures}'")
        await press(pilot, "enter")
        await press(pilot, "m")
        await until(pilot, lambda: pilot.app.pages is not None)  # type: ignore[attr-defined]
        await settle(pilot)
        assert "2 of 9" in text(pilot)

    drive(None, act)
    project = Project.open(tmp_path / "zibo")
    assert (project.trigger, project.class_name, project.preset) == ("zibo", "man", "guide")
    assert len(list((tmp_path / "zibo" / "img" / "25_zibo man").glob("*.png"))) == 6
    assert len(list(pictures.glob("*.png"))) == 6


def test_what_is_typed_for_a_new_project_outlives_the_app(tmp_path: Path) -> None:
    async def type_something(pilot: Pilot[None]) -> None:
        await press(pilot, "a", "enter")
        await type_in(pilot, "zibo")
        await press(pilot, "enter")

    async def come_back(pilot: Pilot[None]) -> None:
        await press(pilot, "a")
        assert "zibo" in text(pilot)

    drive(None, type_something)
    drive(None, come_back)
    assert json.loads((tmp_path / "state" / "lora-tui" / "new-project.json").read_bytes())["trigger"] == "zibo"


def test_the_last_change_is_taken_back(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "down", "down", "right", "right", "u")
        assert said(pilot)[1] == "Taken back: Batch size."
        await press(pilot, "2", "space", "u", "u", "u")
        assert "nothing to take back" in said(pilot)[1]

    before = Project.open(folder).settings
    drive(folder, act)
    assert Project.open(folder).settings == before
    assert Project.open(folder).left_out == []


def test_steps_and_commands_are_found_by_name(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", "colon", *"review")
        await until(pilot, lambda: "Review" in str(found(pilot)))
        await press(pilot, "down", "enter")
        await until(pilot, lambda: "7 of 9" in text(pilot))

    drive(folder, act)


def test_a_kohya_folder_opens_as_it_is(folder: Path) -> None:
    (folder / "project.toml").unlink()
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))

    async def act(pilot: Pilot[None]) -> None:
        for number in range(1, 10):
            await press(pilot, str(number))
        assert "ohwx man" not in said(pilot)[1]

    drive(folder, act)
    after = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    assert [path for path in after if path.parts[0] != ".lora-tui"] == before
