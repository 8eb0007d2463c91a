"""Repeats for about so many steps: the guide's numbers, several folders in balance, and arithmetic that is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.dataset import scan, steps_with
from engine.plan.project import Project
from engine.plan.repeats import Advice, advise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "p"


def advice(folder: Path, wished: int | None = None, **values: object) -> Advice:
    project = Project.open(folder)
    settings = project.resolved({"resolution": "64,64", **values})
    return advise(settings, scan(project, settings), wished)


def test_the_guides_pictures_get_the_guides_repeats(folder: Path, pictures_in) -> None:
    """30 pictures × 25 × 4 epochs with as many for regularisation, two a step: 3,000 steps."""
    pictures_in(folder / "img" / "10_ohwx man", [(64, 64)] * 30)
    pictures_in(folder / "reg" / "1_man", [(64, 64)] * 20)
    found = advice(folder)
    assert (found.wished, found.steps) == (3000, 3000)
    assert (found.repeats, found.now) == ({"10_ohwx man": 25}, {"10_ohwx man": 10})
    assert not found.followed
    assert found.lines == (
        "3,000 steps (as in the guide) ÷ 4 epochs × 2 pictures a step = 1,500 pictures an epoch.",
        "Half of them are regularisation pictures, so 750 are your own.",
        "750 ÷ 30 pictures = 25 repeats.",
        "That makes 3,000 steps.",
    )


def test_without_regularisation_the_same_repeats_need_half_the_steps(folder: Path, pictures_in) -> None:
    pictures_in(folder / "img" / "25_ohwx man", [(64, 64)] * 30)
    found = advice(folder)
    assert (found.wished, found.repeats, found.followed) == (1500, {"25_ohwx man": 25}, True)
    assert advice(folder, 3000).repeats == {"25_ohwx man": 50}
    assert advice(folder, 3000, train_batch_size=1).repeats == {"25_ohwx man": 25}
    assert advice(folder, 3000, gradient_accumulation_steps=2).repeats == {"25_ohwx man": 100}
    assert advice(folder, 3000, max_train_epochs=10).repeats == {"25_ohwx man": 20}


def test_a_folder_with_fewer_pictures_gets_more_repeats(folder: Path, pictures_in) -> None:
    pictures_in(folder / "img" / "1_ohwx man", [(64, 64)] * 30)
    pictures_in(folder / "img" / "1_zibo cat", [(64, 64)] * 6)
    found = advice(folder, 600, max_train_epochs=2, train_batch_size=1)
    assert found.repeats == {"1_ohwx man": 5, "1_zibo cat": 25}
    assert found.steps == 600
    assert "The same for each of 2 subjects: 150." in found.lines
    assert "1_zibo cat: 150 ÷ 6 pictures = 25 repeats." in found.lines


def test_folders_of_one_subject_share_what_it_gets(folder: Path, pictures_in) -> None:
    pictures_in(folder / "img" / "10_zibo man", [(64, 64)] * 20)
    pictures_in(folder / "img" / "40_zibo man", [(64, 64)] * 2)
    pictures_in(folder / "img" / "10_rexo dog", [(64, 64)] * 15)
    found = advice(folder, 1000, max_train_epochs=1, train_batch_size=1)
    assert found.repeats == {"10_zibo man": 23, "40_zibo man": 23, "10_rexo dog": 33}
    assert "The same for each of 2 subjects: 500." in found.lines
    assert "10_zibo man and 40_zibo man: 500 ÷ 22 pictures = 22.7, so 23 repeats." in found.lines
    assert not any("too many" in line for line in found.lines)


def test_so_few_pictures_that_repeats_are_no_help_are_named(folder: Path, pictures_in) -> None:
    pictures_in(folder / "img" / "10_zibo man", [(64, 64)] * 20)
    pictures_in(folder / "img" / "10_rexo dog", [(64, 64)] * 2)
    found = advice(folder, 1000, max_train_epochs=1, train_batch_size=1)
    assert found.repeats == {"10_zibo man": 25, "10_rexo dog": 250}
    assert found.lines[-1] == (
        "Warning: 250 repeats are too many. 2 pictures of 10_rexo dog are too few to learn from, and more of them "
        "would help more than repeats."
    )


def test_rounding_is_shown(folder: Path, pictures_in) -> None:
    pictures_in(folder / "img" / "1_ohwx man", [(64, 64)] * 7)
    found = advice(folder, 100, max_train_epochs=1, train_batch_size=1)
    assert found.lines[1:] == ("100 ÷ 7 pictures = 14.3, so 14 repeats.", "That makes 98 steps.")


def test_so_many_pictures_that_one_repeat_is_more_than_wished_need_fewer_epochs(folder: Path, pictures_in) -> None:
    pictures_in(folder / "img" / "5_ohwx man", [(64, 64)] * 60)
    found = advice(folder, 100, max_train_epochs=10, train_batch_size=1)
    assert found.repeats == {"5_ohwx man": 1}
    assert found.steps == 600
    assert found.lines[-1] == "There are so many pictures that fewer epochs do: max_train_epochs = 1."


def test_the_practice_model_is_trained_as_long_as_now(folder: Path, pictures_in) -> None:
    pictures_in(folder / "img" / "3_ohwx man", [(64, 64)] * 8)
    found = advice(folder, pretrained_model_name_or_path="micro")
    assert found.followed
    assert "(as now)" in found.lines[0]


@pytest.mark.parametrize("values", [{}, {"validation_split": 0.2}, {"train_batch_size": 4}, {"num_processes": 2}])
def test_the_steps_foretold_are_those_that_a_scan_finds(folder: Path, pictures_in, values: dict[str, object]) -> None:
    """Short batches, balancing and pictures kept for validation are all in it."""
    pictures_in(folder / "img" / "2_ohwx man", [(64, 64), (64, 32), (32, 64)] * 5)
    pictures_in(folder / "img" / "3_zibo cat", [(64, 64), (64, 32)] * 2)
    pictures_in(folder / "reg" / "2_man", [(64, 64), (32, 64)] * 3)
    project = Project.open(folder)
    project.left_out.append("img/2_ohwx man/003.png")
    settings = project.resolved({"resolution": "64,64", **values})
    repeats = {"2_ohwx man": 7, "3_zibo cat": 11}
    foretold = steps_with(scan(project, settings), settings, repeats)
    project.repeats = dict(repeats)
    assert foretold == scan(project, settings).steps
