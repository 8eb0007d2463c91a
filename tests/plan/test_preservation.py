"""A caption without its trigger word; and what keeps the class from being preserved."""

from __future__ import annotations

import pytest

from engine.plan.checks import check_settings
from engine.plan.class_words import class_words
from engine.plan.dataset import scan
from engine.plan.project import Project


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("ohwx, a photo of a man in a red coat", "a photo of a man in a red coat"),
        ("a photo of OHWX man", "a photo of man"),
        ("a photo of ohwx", "a photo of man"),
        ("ohwx", "man"),
        ("man, ohwx, outdoors", "man, outdoors"),
        ("outdoors, man, ohwx", "outdoors, man"),
        ("ohwx, ohwx man", "man"),
        ("(ohwx:1.2), a man", "(man:1.2), a man"),
        ("a [ohwx] man", "a [man] man"),
        ("a portrait of a woman with ohwx", "a portrait of a woman with man"),
        ("a photo of a man", None),
        ("ohwxian, a man", None),
        ("", None),
    ],
)
def test_the_caption_of_an_ordinary_one(words: str, plain: str | None) -> None:
    assert class_words(words, "ohwx", "man") == plain


def test_a_trigger_is_taken_literally() -> None:
    assert class_words("a.b, a man", "a.b", "man") == "a man"
    assert class_words("axb, a man", "a.b", "man") is None
    assert class_words("ohwx here", "ohwx", r"m\1n") == r"m\1n here"
    assert class_words("a man", "", "man") is None


def found(project: Project, **values: object) -> dict[str, object]:
    settings = project.resolved(values)
    return {f.code: f for f in check_settings(settings, scan(project, settings), project)}


def test_it_needs_a_trigger_and_a_class(project: Project) -> None:
    on = {"diff_output_preservation_multiplier": 1.0}
    project.trigger, project.class_name = "", ""
    finding = found(project, **on)["preservation-without-class"]
    assert "no trigger word and class" in finding.message
    assert finding.stops_training(accept_warnings=True)
    project.trigger, project.class_name = "ohwx", "man"
    assert "preservation-without-class" not in found(project, **on)
    assert "no-regularisation" not in found(project, **on)
    assert "no-regularisation" in found(project)


def test_regularisation_pictures_beside_it_are_told(project: Project, pictures_in) -> None:
    pictures_in(project.path / "reg" / "1_man", [(64, 64)] * 3)
    project.trigger, project.class_name = "ohwx", "man"
    assert "preserved-twice" in found(project, diff_output_preservation_multiplier=1.0)
    assert "preserved-twice" not in found(project)
