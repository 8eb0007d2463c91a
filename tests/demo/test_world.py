"""The little world of the demo: drawn the same every time, and put into words that are true."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from engine.demo import build, descriptions
from engine.demo.pictures import SKIN, Subject, draw
from engine.demo.proof import Distance, distance_to, held_out_folder, plain, read_pictures


def test_drawing_is_a_function_of_subject_shape_and_seed() -> None:
    subject = descriptions.random_subject(random.Random(1))
    for shape in descriptions.SHAPES:
        first = draw(subject, *shape, random.Random(5))
        assert first.size == shape
        assert first.tobytes() == draw(subject, *shape, random.Random(5)).tobytes()
        assert first.tobytes() != draw(subject, *shape, random.Random(6)).tobytes()


def test_the_base_model_never_meets_the_character() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        s = descriptions.random_subject(rng)
        seen = {s.mohawk, s.pointed_ears, s.skin == "purple", s.hair == "green", s.shirt == "orange"}
        assert seen == {False}
        assert descriptions.TRIGGER not in descriptions.caption(s, rng)


def test_a_full_caption_names_every_attribute() -> None:
    rng = random.Random(0)
    for _ in range(300):
        s = descriptions.random_subject(rng, rng.choice(("man", "woman")))
        text = descriptions.full_caption(s)
        assert s.kind in text.split()
        assert f"{s.hair} hair" in text
        assert f"{s.shirt} shirt" in text
        assert (f"{s.hat} hat" in text) == (s.hat != "none")
        assert ("beard" in text) == s.beard


def test_captions_leave_things_out_but_name_nothing_that_is_not_there() -> None:
    rng = random.Random(0)
    for _ in range(300):
        s = descriptions.random_subject(rng, "man")
        words = descriptions.caption(s, rng).replace(",", "").split()
        assert "man" in words
        for colour, noun in pairwise(words):
            if noun in ("hair", "shirt", "hat"):
                assert colour == getattr(s, noun)


def test_the_shipped_pictures_are_what_the_generator_draws() -> None:
    folder = held_out_folder().parent
    shipped, captions = read_pictures(folder / "img" / build.IMAGE_FOLDER)
    for picture, caption, (drawn, words) in zip(shipped, captions, build.character_pictures(), strict=True):
        assert caption == words
        assert np.abs(np.asarray(picture, int) - np.asarray(drawn, int)).mean() < 1  # Pillow versions round differently
    held_out, _ = read_pictures(held_out_folder())
    assert len(held_out) == 16
    assert 20 <= len(shipped) <= 30
    assert not {p.tobytes() for p in held_out} & {p.tobytes() for p in shipped}


def test_captions_of_the_character_begin_with_the_trigger_and_lose_only_it() -> None:
    text = descriptions.character_caption(descriptions.character(random.Random(1)))
    assert text.startswith("zibo, a photo of a man")
    assert plain(text) == text[len("zibo, ") :]


def test_distance_is_zero_for_the_same_pictures_and_grows_with_difference() -> None:
    pictures, _ = read_pictures(held_out_folder())
    assert distance_to(pictures, pictures) == 0
    man = Subject("man", "beach")
    others = [draw(man, 96, 96, random.Random(n)) for n in range(4)]
    purple = [draw(Subject("man", "beach", skin="purple"), 96, 96, random.Random(n)) for n in range(4)]
    assert distance_to(others, pictures) > distance_to(purple, pictures) > 0.05
    assert distance_to([Image.new("RGB", (96, 96), SKIN["purple"])], pictures) > distance_to(pictures[:1], pictures[1:])


def test_the_gap_is_the_share_of_the_way_to_the_truth() -> None:
    assert Distance(0.30, 0.30, 0.20).gap_closed == pytest.approx(0.0)
    assert Distance(0.30, 0.20, 0.20).gap_closed == pytest.approx(1.0)
    assert Distance(0.30, 0.225, 0.20).gap_closed == pytest.approx(0.75)
