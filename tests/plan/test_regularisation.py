"""How many regularisation pictures, of which classes: the guide's numbers, and projects of several folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engine.plan.class_balance import uneven_classes
from engine.plan.dataset import scan
from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.plan.regularisation import Need, as_object, enough_of, explanation, needs, use_of
from engine.plan.regularising import RegularisingOptions
from engine.plan.settings import resolve


def need(there: int = 0, sums: tuple[tuple[int, int], ...] = ((30, 25),), repeats: int = 1) -> Need:
    return Need("man", Path("reg/1_man"), sums, (repeats,) * there)


def test_the_guides_numbers() -> None:
    none = need()
    assert (none.target, none.enough, none.missing("all"), none.missing("enough")) == (750, 200, 750, 200)
    assert explanation(none) == [
        "30 pictures × 25 repeats = 750: in an epoch that many regularisation pictures (man) are seen, one for each of "
        "your own.",
        "None are here.",
        "200 are enough, each used 3 to 4 times; the guide has all 750.",
    ]
    assert explanation(need(752))[1] == "752 are here, 2 of them not used."
    assert explanation(need(750))[1] == "750 are here, each used once."
    assert explanation(need(200))[1:] == ["200 are here, each used 3 to 4 times."]
    assert explanation(need(300))[1:] == ["300 are here, each used 2 to 3 times."]
    assert explanation(need(1))[1] == "1 is here, each used 750 times."


@pytest.mark.parametrize(("target", "enough"), [(0, 0), (1, 1), (199, 199), (200, 200), (750, 200), (5000, 1250)])
def test_enough_is_never_more_than_the_target_nor_seen_more_than_four_times(target: int, enough: int) -> None:
    assert enough_of(target) == enough
    if target:
        assert -(-target // enough) <= 4


def test_repeats_of_their_folder_count() -> None:
    assert use_of(need(10, ((4, 5),), repeats=2).times) == "each used 2 times"
    assert use_of(need(12, ((4, 5),), repeats=2).times) == "2 of them not used"
    assert as_object(need(752), RegularisingOptions(count="all")) | {"explanation": "", "folder": ""} == {
        "class": "man", "folder": "", "target": 750, "enough": 200, "there": 752, "seen": 750, "wanted": 750,
        "missing": 0, "used": [0, 1], "unused": 2, "explanation": "",
    }  # fmt: skip


def pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(folder / f"{number}.png")


def of(folder: Path, **settings: object) -> list[Need]:
    project = Project.open(folder)
    values = resolve({"resolution": "64,64", "bucket_reso_steps": 16}, settings)
    return needs(project, scan(project, values))


def test_left_out_and_validation_pictures_do_not_count(tmp_path: Path) -> None:
    pictures(tmp_path / "img" / "5_zibo man", 10)
    pictures(tmp_path / "reg" / "1_man", 3)
    assert [(n.target, len(n.there), n.folder.name) for n in of(tmp_path)] == [(50, 3, "1_man")]
    assert of(tmp_path, validation_split=0.2)[0].target == 40
    (tmp_path / "project.toml").write_text(
        '[pictures]\nleft_out = ["img/5_zibo man/0.png", "reg/1_man/1.png"]\n', encoding="utf-8"
    )
    assert [(n.target, n.sums, len(n.there), n.here) for n in of(tmp_path)] == [(45, ((9, 5),), 2, 2)]


def test_each_class_has_its_own_folder_and_number(tmp_path: Path) -> None:
    pictures(tmp_path / "img" / "5_zibo man", 4)
    pictures(tmp_path / "img" / "2_zibo close up", 3)
    pictures(tmp_path / "img" / "10_rexo dog", 2)
    pictures(tmp_path / "reg" / "1_dog", 1)
    pictures(tmp_path / "reg" / "3_person", 2)
    (tmp_path / "project.toml").write_text('[project]\ntrigger = "zibo"\nclass = "man"\n', encoding="utf-8")
    dog, man = sorted(of(tmp_path), key=lambda found: found.class_name)
    assert (dog.class_name, dog.folder, dog.target, dog.there) == ("dog", tmp_path / "reg" / "1_dog", 20, (1,))
    assert (man.class_name, man.folder, man.target) == ("man", tmp_path / "reg" / "1_man", 26)
    assert sorted(man.sums) == [(3, 2), (4, 5)]
    assert sum(len(found.there) for found in (dog, man)) == 3  # nothing that is seen anyway is lost
    assert explanation(man)[0].startswith("3 pictures × 2 repeats + 4 pictures × 5 repeats = 26")


def test_without_a_class_it_is_asked_for(tmp_path: Path) -> None:
    pictures(tmp_path / "img" / "5_zibo", 2)
    with pytest.raises(UserError) as refused:
        of(tmp_path)
    assert refused.value.code == "bad-name"
    assert "none" in refused.value.message


def two_classes(folder: Path, dog: int, man: int) -> tuple[Need, Need]:
    """Of 10 men, 25 times, and 5 dogs, 10 times; with so many regularisation pictures of each."""
    pictures(folder / "img" / "25_zibo man", 10)
    pictures(folder / "img" / "10_rexo dog", 5)
    for name, count in (("1_dog", dog), ("1_man", man)):
        if count:
            pictures(folder / "reg" / name, count)
    (folder / "project.toml").write_text('[project]\ntrigger = "zibo"\nclass = "man"\n', encoding="utf-8")
    found = {found.class_name: found for found in of(folder)}
    return found["dog"], found["man"]


def test_of_two_classes_it_is_told_what_is_really_used(tmp_path: Path) -> None:
    dog, man = two_classes(tmp_path, 320, 250)
    assert (dog.target, man.target, dog.missing("all"), man.missing("all")) == (50, 250, 0, 0)
    assert explanation(man) == [
        "10 pictures × 25 repeats = 250: so many regularisation pictures (man) should be seen in an epoch, one for "
        "each of your own; 0 are.",
        "250 are here, not used.",
    ]
    assert explanation(dog)[0].endswith("; 300 are.")
    assert explanation(dog)[1] == "320 are here, 20 of them not used."
    assert as_object(dog, RegularisingOptions())["unused"] == 20
    uneven = uneven_classes([dog, man])
    assert uneven is not None
    assert "man never in place of 250, dog 300 times in place of 50" in uneven.message
    assert uneven.hint == "Leave 270 of 1_dog out (step 3, v) or move them away: then each is used once."


def test_of_two_classes_that_are_repeated_one_number_is_told(tmp_path: Path) -> None:
    dog, man = two_classes(tmp_path, 50, 50)
    assert {explanation(found)[1] for found in (dog, man)} == {"50 are here, each used 3 times."}
    assert uneven_classes([dog, man]) is None


def test_a_class_without_any_is_named_where_another_is_seen_in_its_place(tmp_path: Path) -> None:
    dog, man = two_classes(tmp_path, 50, 0)
    assert explanation(dog)[1] == "50 are here, each used 6 times."
    uneven = uneven_classes([dog, man])
    assert uneven is not None
    assert uneven.hint == "Have 250 more of man: then each is used once."


def test_as_advised_each_is_used_once(tmp_path: Path) -> None:
    dog, man = two_classes(tmp_path, 50, 250)
    assert {explanation(found)[1] for found in (dog, man)} == {
        "50 are here, each used once.", "250 are here, each used once."
    }  # fmt: skip
    assert uneven_classes([dog, man]) is None
