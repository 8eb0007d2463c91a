"""The third step by prompts: how many and why, making them, holding the class without any, the options."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engine.plan.project import Project
from engine.runs import control
from engine.runs.folder import list_runs
from lora_tui import regularising
from tests import regularising_engine
from tests.prompts.conversation import converse


def test_how_many_and_why_and_options_and_without(folder: Path) -> None:
    answers = ["g 3", "options", "options 5", "none", "30", "without", "u", "stop", "fetch", "nonsense", "q"]
    said = converse(folder, *answers)
    assert "6 pictures x 2 repeats = 12" in said
    assert "None are here." in said
    assert "make draws 12 pictures of 96 x 96" in said
    assert "Error: steps must be a whole number" in said
    assert Project.open(folder).regularising == {"steps": 30}
    assert "The class is held without pictures. u takes it back." in said
    assert "diff_output_preservation_multiplier" not in Project.open(folder).settings
    assert "Nothing is being made or fetched." in said
    assert "is not the name of a data set" in said
    assert list_runs(folder) == []


def test_all_that_are_there_are_left_out_and_taken_back(folder: Path) -> None:
    place = folder / "reg" / "1_man"
    place.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (96, 96), (number * 60, 90, 120)).save(place / f"{number}.png")
    said = converse(folder, "g 3", "none", "y", "none", "u", "none", "y", "q")
    assert said.count("Leave 3 regularisation pictures out of the training?") == 2  # also after it was taken back
    assert "There are none that would be trained." in said
    assert sorted(Project.open(folder).left_out) == [f"reg/1_man/{number}.png" for number in range(3)]
    assert len(list(place.iterdir())) == 3


def crowded(folder: Path, name: str, count: int) -> None:
    place = folder / name
    place.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (96, 96), (number * 9, 90, 120)).save(place / f"{number}.png")


def test_a_class_that_another_crowds_out_is_told(folder: Path) -> None:
    crowded(folder, "img/2_rexo dog", 2)
    crowded(folder, "reg/1_dog", 18)
    crowded(folder, "reg/1_man", 12)
    said = " ".join(converse(folder, "g 3", "q").split())
    assert "(dog) should be seen in an epoch, one for each of your own; 16 are." in said
    assert "12 are here, not used." in said
    assert "Leave 14 of 1_dog out (step 3, v) or move them away: then each is used once." in said


def test_pictures_are_taken_over_for_the_class_that_is_said(folder: Path, tmp_path: Path) -> None:
    crowded(folder, "img/2_rexo dog", 2)
    crowded(tmp_path, "dogs", 3)
    said = converse(folder, "g 3", "add", str(tmp_path / "dogs"), "cat", "dog", "", "q")
    assert "What do they show, man or dog? Enter means man" in said
    assert "cat is not one of them." in said
    assert len(list((folder / "reg" / "1_dog").glob("*.png"))) == 3


def test_pictures_are_made_and_it_is_told_how_it_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start_and_stop(run: object) -> int:
        pid = regularising_engine.start(run)  # type: ignore[arg-type]
        control.send(run, "stop")  # type: ignore[arg-type]
        return pid

    monkeypatch.setattr(regularising, "start", start_and_stop)
    said = converse(folder, "g 3", "make", "q")
    assert "You hear how it goes." in said
    assert "50 pictures made, 1.0 s each." in said
