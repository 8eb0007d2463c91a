"""How the steps stand, from a survey of a real project."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from engine.plan.pictures import Measures
from engine.plan.project import Project
from engine.plan.subjects import Subjects
from lora_tui.steps import STEPS, Progress, StepName, findings_of, neighbour, number, standing
from lora_tui.survey import Survey, survey
from tests.training import picture as draw_picture


def progress(project: Project, found: Survey | None, **more: object) -> Progress:
    return Progress(project.trigger, project.class_name, found, **more)  # type: ignore[arg-type]


def stands(folder: Path, step: StepName, **more: object) -> tuple[str, str]:
    project = Project.open(folder)
    found = standing(step, progress(project, survey(project, Measures()), **more))
    return found.mark, found.missing


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "project.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("step", ["project", "captions", "model", "settings", "review"])
def test_a_ready_project_is_done(folder: Path, step: StepName) -> None:
    assert stands(folder, step) == ("done", "")


def test_what_is_missing_is_said_where_it_is_missing(folder: Path) -> None:
    edit(folder, 'trigger = "ohwx"', 'trigger = ""')
    assert stands(folder, "project") == ("todo", "A trigger word is missing.")
    edit(folder, 'class = "man"', 'class = ""')
    edit(folder, 'trigger = ""', 'trigger = "ohwx"')
    assert stands(folder, "project")[0] == "attention"
    assert stands(folder, "training") == ("todo", "Nothing has been trained yet.")
    assert stands(folder, "results", loras=2)[0] == "done"


def test_captions_that_are_missing_or_without_the_trigger(folder: Path) -> None:
    captions = sorted(folder.rglob("*.txt"))
    captions[0].write_text("a photo of a man\n", encoding="utf-8")
    assert stands(folder, "captions") == ("attention", '1 of 6 captions is without the word "ohwx".')
    captions[1].unlink()
    mark, missing = stands(folder, "captions")
    assert (mark, missing.startswith("1 of 6 pictures has no caption: 01.png")) == ("todo", True)
    captions[2].write_bytes(b"\xff\xfe caf\xe9")
    mark, missing = stands(folder, "captions")
    assert (mark, "is not UTF-8 at byte 0" in missing) == ("attention", True)


def test_captions_of_a_second_subject_have_its_own_trigger(folder: Path) -> None:
    dog = folder / "img" / "1_rexo dog" / "d.png"
    draw_picture(dog, 30)
    dog.with_suffix(".txt").write_text("rexo, a dog\n", encoding="utf-8")
    assert "without the word" not in stands(folder, "captions")[1]
    dog.with_suffix(".txt").write_text("a dog\n", encoding="utf-8")
    assert stands(folder, "captions") == ("attention", '1 of 7 captions is without the word "rexo".')


def test_no_pictures_and_a_broken_one(folder: Path) -> None:
    pictures = sorted(folder.rglob("*.png"))
    pictures[0].write_bytes(b"no picture")
    mark, missing = stands(folder, "pictures")
    assert (mark, "00.png" in missing) == ("attention", True)
    for picture in pictures:
        picture.unlink()
    mark, missing = stands(folder, "pictures")
    assert mark == "todo"
    assert missing


def test_the_base_model(folder: Path) -> None:
    edit(folder, '"micro"', '""')
    assert stands(folder, "model")[0] == "todo"
    edit(folder, 'pretrained_model_name_or_path = ""', 'pretrained_model_name_or_path = "/nowhere/x.safetensors"')
    mark, missing = stands(folder, "model")
    assert (mark, "does not exist" in missing) == ("attention", True)
    assert stands(folder, "review")[0] == "todo"


def test_settings(folder: Path) -> None:
    assert stands(folder, "settings", typed=2) == ("attention", "2 values that you typed cannot be used yet.")
    edit(folder, "network_dim = 4", "network_dim = 0")
    mark, missing = stands(folder, "settings")
    assert (mark, "network_dim must be" in missing) == ("attention", True)


def test_every_finding_has_a_step(folder: Path) -> None:
    project = Project.open(folder)
    found = survey(project, Measures())
    homes = [finding for step in STEPS[:6] for finding in findings_of(step.name, found)]
    assert sorted(map(str, homes)) == sorted(map(str, found.findings))


def test_before_anything_is_known_nothing_is_done(folder: Path) -> None:
    project = Project.open(folder)
    marks = {step.name: standing(step.name, progress(project, None)).mark for step in STEPS}
    assert {name for name, mark in marks.items() if mark == "done"} == {"project"}


def test_order() -> None:
    assert [number(step.name) for step in STEPS] == list(range(1, 10))
    assert (neighbour("project", -1), neighbour("project", 1), neighbour("results", 1)) == (
        "project", "pictures", "results",
    )  # fmt: skip


@pytest.mark.parametrize("captioned", [False, True])
def test_what_is_said_of_ten_thousand_captions_leaves_room_for_what_to_do(captioned: bool) -> None:
    """In two rows of 74 cells."""
    picture = SimpleNamespace(path=Path("n" * 240 + ".png"), caption_path=Path("a.txt") if captioned else None)
    picture.caption = "a man"
    subjects = Subjects.of("w" * 240, "man", ())
    dataset = SimpleNamespace(used_of=lambda kind: [picture] * 9_999, subjects=lambda *_: subjects)
    found = cast(Survey, SimpleNamespace(dataset=dataset, findings=()))
    stands = standing("captions", Progress("w" * 240, "man", found))
    assert stands.missing.startswith("9,999 of 9,999 ")
    assert len(f"{stands.missing} m goes to the next, Enter edits.") <= 2 * 74 - 10


def test_the_document_has_one_row_for_each_step() -> None:
    rows = [row.split("|")[1].strip() for row in Path("docs/wizard.md").read_text("utf-8").splitlines() if "|" in row]
    numbered = [row for row in rows if row[:1].isdigit()]
    assert numbered == [f"{number(step.name)} {step.title}" for step in STEPS]
