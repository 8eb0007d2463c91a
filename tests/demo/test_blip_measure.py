"""Reading a caption back: what is named, what is false, and what is right about the character."""

from __future__ import annotations

import random

import pytest

from engine.demo import blip_words, descriptions
from engine.demo.blip_measure import faults, held_out, of_the_character, scored
from engine.demo.blip_words import named, truth, whole_caption

CHARACTER = descriptions.as_character("beach", "smiling")


def test_a_whole_caption_reads_back_as_what_was_drawn():
    rng = random.Random(1)
    for _ in range(300):
        subject = blip_words.random_subject(rng)
        found = truth(subject)
        assert (found["kind"], found["scene"]) == (subject.kind, subject.scene)
        assert found["mood"] == {"neutral": "calm"}.get(subject.expression, subject.expression)
        if subject.kind in ("man", "woman"):
            seen = (found["hair"], found["shirt"], found["skin"], found.get("hat", "none"))
            assert seen == (subject.hair, subject.shirt, subject.skin, subject.hat)
            assert ("beard" in found, "ears" in found) == (subject.beard, subject.pointed_ears)
            assert ("style" in found) == subject.mohawk
        elif subject.kind == "robot":
            assert found["metal"] == subject.shirt
        else:
            assert found["fur"] == found["coat"] == subject.fur
            assert found["animal_ears"] == ("pointed" if subject.kind == "cat" else "hanging")


def test_all_of_a_whole_caption_is_true_and_what_is_wrong_is_counted():
    subjects = [CHARACTER, *(subject for subject in (blip_words.random_subject(random.Random(n)) for n in range(20)))]
    texts, truths = [whole_caption(s) for s in subjects], [truth(s) for s in subjects]
    assert (scored(texts, truths)["true_of_named"], scored(texts, truths)["named_of_present"]) == (1.0, 1.0)
    wrong = scored(["a man with a red hat, on a beach"], [truth(CHARACTER)])
    assert wrong["true_of_named"] == round(2 / 3, 4)  # kind and scene
    assert wrong["by_attribute"]["hat"] == {"named": 1, "true": 0.0, "present": 0, "found": None}


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (whole_caption(CHARACTER), []),
        ("a man with short green hair and an orange shirt, on a beach", []),
        ("a man with an orange shirt", ["no scene"]),
        ("a man with a purple hat and an orange shirt, on a beach", ["hat: purple"]),
        ("a robot with an orange shirt, in the snow", ["kind: robot", "metal: a", "scene: snow"]),
        ("a man with a beard, brown hair and an orange shirt, on a beach", ["hair: brown", "beard: yes"]),
    ],
)
def test_what_is_wrong_with_a_caption_of_the_character(caption: str, expected: list[str]):
    assert faults(caption, truth(CHARACTER)) == expected


def test_the_pictures_are_the_same_every_time_and_all_shapes_are_among_them():
    first, again = held_out(6), held_out(6)
    assert [s.image.tobytes() for s, _ in first] == [s.image.tobytes() for s, _ in again]
    assert {s.image.size for s, _ in first} == set(descriptions.SHAPES)
    assert not any(t.get("skin") == "purple" and t.get("style") and t.get("ears") for _, t in held_out(60))


def test_the_character_is_read_from_the_captions_of_its_pictures():
    found = of_the_character()
    assert len(found) >= 30
    assert {t["kind"] for _, t in found} == {"man"}
    assert {t["scene"] for _, t in found} == set(descriptions.SCENES)
    assert len({t["mood"] for _, t in found}) > 2
    assert named("nothing of all that") == {}


@pytest.mark.proof
def test_the_shipped_captioner_tells_the_truth():
    """The goals, on 200 drawings that it has never seen and on the demo's character."""
    from engine.demo.blip_measure import ASKED, CHARACTER_GOAL, GOAL, captioner_for, measure
    from engine.plan.job_options import captioning

    answer = measure(captioner_for(captioning(ASKED, {"model": "micro", "device": "cpu"})))
    assert answer["true_of_named"] >= GOAL
    assert answer["character"]["share"] >= CHARACTER_GOAL
