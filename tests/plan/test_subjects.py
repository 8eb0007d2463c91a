"""Whom each training folder shows, and what is said of captions where there are several subjects."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.caption_attention import Attention, look_at
from engine.plan.caption_findings import check_words
from engine.plan.clip_tokens import Counter
from engine.plan.dataset import scan
from engine.plan.dataset_checks import check_dataset
from engine.plan.project import Project
from engine.plan.subjects import Subject, Subjects

DOG = Subject("rexo", "dog")
MAN = Subject("ohwx", "man")


def subjects(trigger: str, class_name: str, *folders: str) -> list[Subject]:
    found = Subjects.of(trigger, class_name, map(Path, folders))
    return [found.of_picture(Path(folder) / "a.png") for folder in folders]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["10_ohwx man", "5_rexo dog"], [MAN, DOG]),
        (["5_rexo dog", "10_ohwx man"], [DOG, MAN]),
        (["10_ohwx man", "5_zibo man"], [MAN, Subject("zibo", "man")]),
        (["10_ohwx man", "5_OHWX in a coat"], [MAN, MAN]),
        (["10_ohwx man", "5_rexo"], [MAN, MAN]),  # no class of its own
        (["10_ohwx man", "5_"], [MAN, MAN]),
        (["10_rexo dog"], [MAN]),  # one folder shows the project's subject, whatever it is called
        (["10_rexo dog", "2_rexo dog"], [MAN, MAN]),
        (["10_zibo man", "5_rexo dog"], [MAN, DOG]),  # named when the project's trigger was another one
        (["photos of rexo", "10_ohwx man"], [Subject("photos", "of rexo"), MAN]),  # repeats in project.toml
    ],
)
def test_whom_a_folder_shows(folders: list[str], expected: list[Subject]):
    assert subjects("ohwx", "man", *folders) == expected


def test_without_a_trigger_there_are_no_others():
    assert subjects("", "man", "10_ohwx man", "5_rexo dog") == [Subject("", "man")] * 2
    assert Subjects.of("", "", ()).triggers_of([Path("a/b.png")]) == ()


def test_the_class_of_a_regularisation_folder():
    found = Subjects.of("ohwx", "man", [Path("10_ohwx man"), Path("5_rexo dog")])
    assert [found.class_of_regularisation(words) for words in ("man", "dog", "person")] == ["man", "dog", "man"]
    assert Subjects.of("ohwx", "", []).class_of_regularisation("old man") == "old man"


def test_attention_asks_for_the_trigger_of_each_ones_own_subject():
    man, dog = Path("10_ohwx man/a.png"), Path("5_rexo dog/a.png")
    attention = Attention("ohwx", others={dog.parent: "rexo"})
    look_at({man: "ohwx, a man", dog: "rexo, a dog"}, attention)
    assert attention.number_needing == 0
    look_at({man: "rexo, a man", dog: "a dog"}, attention)
    assert [attention.reasons(path)[0].words for path in (man, dog)] == [
        'The trigger word "ohwx" is not in it.',
        'The trigger word "rexo" is not in it.',
    ]
    look_at({man: "ohwx, a man", dog: "ohwx, a dog"}, attention)  # the project's is never wrong
    assert attention.number_needing == 0
    look_at({dog: "rexo, a rexo dog"}, attention)
    assert attention.reasons(dog)[0].words == 'The trigger word "rexo" is in it 2 times.'


@pytest.fixture
def two(tmp_path: Path, pictures_in) -> Project:
    """A man and a dog, with a caption each."""
    for name, caption in (("10_ohwx man", "ohwx, a man"), ("5_rexo dog", "rexo, a dog")):
        folder = pictures_in(tmp_path / "two" / "img" / name, [(64, 64)])
        (folder / "000.txt").write_text(caption, encoding="utf-8")
    return Project.open(tmp_path / "two")


def test_check_asks_for_the_trigger_of_each_ones_own_subject(two: Project):
    def told() -> dict[str, str]:
        settings = two.resolved()
        dataset = scan(two, settings)
        found = [*check_dataset(settings, dataset, two)]
        found += check_words(settings, dataset, two.trigger, Counter(), two.class_name)
        return {finding.code: finding.message for finding in found}

    assert not {"caption-without-trigger", "caption-trigger-twice"} & told().keys()
    dog, man = two.path / "img/5_rexo dog/000.txt", two.path / "img/10_ohwx man/000.txt"
    dog.write_text("ohwx, a dog", encoding="utf-8")
    assert "caption-without-trigger" not in told()
    dog.write_text("a dog", encoding="utf-8")
    missing = '1 of 2 captions does not contain the trigger word "rexo": 000.png.'
    assert told()["caption-without-trigger"] == missing
    man.write_text("a man", encoding="utf-8")
    assert 'the trigger word of what they show, "ohwx" or "rexo"' in told()["caption-without-trigger"]
    dog.write_text("rexo, rexo dog", encoding="utf-8")
    assert told()["caption-trigger-twice"] == "1 caption has a trigger word more than once: 000.txt."
