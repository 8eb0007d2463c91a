"""Which pictures are kept out of a training, what that does to its length, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.checks import check_settings
from engine.plan.dataset import Dataset, scan
from engine.plan.errors import Finding
from engine.plan.project import Project
from engine.plan.saving_times import due_after, validation_rounds
from engine.plan.settings import resolve
from engine.plan.validation_split import kept_out

NAMES = [f"10_x/{number:03}.png" for number in range(40)]


@pytest.fixture
def ten(tmp_path: Path, pictures_in) -> Project:
    """Ten pictures of 8 repeats, and fifty of the class."""
    pictures_in(tmp_path / "ten" / "img" / "8_ohwx man", [(64, 64)] * 10, caption="ohwx, a man")
    pictures_in(tmp_path / "ten" / "reg" / "1_man", [(64, 64)] * 50)
    return Project.open(tmp_path / "ten")


def planned(project: Project, **values: object) -> Dataset:
    return scan(project, project.resolved(values))


def found(project: Project, **values: object) -> dict[str, Finding]:
    settings = project.resolved(values)
    return {f.code: f for f in check_settings(settings, scan(project, settings), project)}


def test_which_pictures_is_a_function_of_the_seed_and_the_names() -> None:
    assert kept_out(NAMES, 0.1, 1) == kept_out(NAMES[::-1], 0.1, 1)
    assert len(kept_out(NAMES, 0.1, 1)) == 4
    assert kept_out(NAMES, 0.1, 1) != kept_out(NAMES, 0.1, 2)
    assert kept_out(NAMES, 0.1, 1) < kept_out(NAMES, 0.2, 1)


def test_a_picture_more_changes_at_most_one_of_those_kept_out() -> None:
    before, after = kept_out(NAMES, 0.2, 3), kept_out([*NAMES, "10_x/new.png"], 0.2, 3)
    assert len(before & after) >= len(before) - 1


def test_steps_are_counted_without_them_and_regularisation_pictures_are_never_among_them(ten: Project) -> None:
    whole, split = planned(ten), planned(ten, validation_split=0.3)
    assert (whole.steps.num_train_images, split.steps.num_train_images) == (80, 56)
    assert split.steps.num_reg_images == 56
    assert split.steps.steps_per_epoch == 56  # (56 + 56) / 2
    assert len(split.validation) == 3
    assert {p.kind for p in split.validation} == {"train"}
    assert not set(split.validation) & set(split.used)
    assert not any(p.used or p.left_out for p in split.validation)
    assert split.buckets == {(64, 64): 112}
    assert "3 more are kept for validation and not trained." in split.steps.explanation
    assert "validation" not in whole.steps.explanation


def test_a_picture_that_is_left_out_is_not_validated_either(ten: Project) -> None:
    (first, *_) = planned(ten, validation_split=0.3).validation
    ten.left_out = [ten.relative(first.path)]
    assert first.name not in {p.name for p in planned(ten, validation_split=0.3).validation}


@pytest.mark.parametrize(
    ("share", "mended", "why"),
    [
        (0.04, 0.1, "10 pictures: none would be left to validate"),
        (1.0, 0.1, "10 pictures: none would be left to train"),
        (0.99, 0.1, "10 pictures: none would be left to train"),
    ],
)
def test_a_split_that_leaves_nothing_is_refused_with_one_that_does(
    ten: Project, share: float, mended: float, why: str
) -> None:
    finding = found(ten, validation_split=share)["validation-split-empty"]
    assert why in finding.message
    assert finding.stops_training(accept_warnings=True)
    assert finding.value == mended
    assert "validation-split-empty" not in found(ten, validation_split=mended)


def test_every_number_of_pictures_has_a_split_that_works(tmp_path: Path, pictures_in) -> None:
    for count in (1, 2, 3, 7):
        pictures_in(tmp_path / str(count) / "img" / "1_x", [(64, 64)] * count, caption="x")
        project = Project.open(tmp_path / str(count))
        mended = found(project, validation_split=0.01)["validation-split-empty"].value
        assert "validation-split-empty" not in found(project, validation_split=mended)
        assert (mended == 0) == (count == 1)


def test_options_that_do_nothing_are_told(ten: Project) -> None:
    assert "never-validated" in found(ten, validation_split=0.2, validate_every_n_epochs=0)
    assert "nothing-to-validate" in found(ten, validate_every_n_steps=5)
    for fine in ({}, {"validation_split": 0.2}, {"validation_split": 0.2, "validate_every_n_steps": 5}):
        assert not {"never-validated", "nothing-to-validate", "validation-split-empty"} & found(ten, **fine).keys()


def test_when_it_is_measured() -> None:
    def due(**values: object) -> list[int]:
        settings = resolve({"validation_split": 0.1}, values)
        rounds = [n for n in range(1, 13) if due_after(settings, n, 4, 12).validation]
        assert validation_rounds(settings, 4, 12) == len(rounds)
        return rounds

    assert due() == [4, 8, 12]
    assert due(validate_every_n_epochs=2) == [8]
    assert due(validate_every_n_steps=6) == [4, 6, 8, 12]
    assert due(validate_every_n_steps=6, validate_every_n_epochs=0) == [6, 12]
    assert due(validation_split=0.0) == []
