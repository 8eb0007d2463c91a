"""How sharp pictures of several kinds are, which are nearly the same, and what lies under what is see-through."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageFilter

from engine.plan.looks import LOOKED_AT, Look, look, look_at
from engine.plan.near_copies import near_copies
from engine.plan.picture_remarks import BLURRED_PIXELS
from tests.plan.drawn import KINDS, drawing, enlarged, moved, texture

DEMO = Path(__file__).parents[2] / "engine" / "demo" / "project"


def edge(image: Image.Image) -> float:
    """The width of its sharp edges in its own pixels."""
    return look(image).edge_at(*image.size)


def again(image: Image.Image, quality: int = 60) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


# ------------------------------------------------------------------------------------------------------------ sharpness
@pytest.mark.parametrize("kind", KINDS)
def test_sharp_pictures_are_sharp_and_slightly_soft_ones_are_let_pass(kind: str) -> None:
    image = KINDS[kind](1)
    assert edge(image) < 1.5
    assert edge(again(image)) < 2.5
    assert edge(image.filter(ImageFilter.GaussianBlur(0.7))) < 2.5
    assert edge(enlarged(image, 2)) < 2.5


@pytest.mark.parametrize("kind", KINDS)
def test_strong_blur_is_seen_in_every_kind_of_picture(kind: str) -> None:
    image = KINDS[kind](2)
    assert edge(image.filter(ImageFilter.GaussianBlur(3))) > BLURRED_PIXELS
    assert edge(enlarged(image, 6)) > BLURRED_PIXELS


@pytest.mark.parametrize("turned", [False, True])
def test_a_movement_in_one_direction_is_blur_too(turned: bool) -> None:
    for image, pixels in ((texture(3), 14), (KINDS["portrait"](3), 14), (drawing(3), 28)):
        upright = moved(image, pixels)
        assert edge(upright.transpose(Image.Transpose.ROTATE_90) if turned else upright) > BLURRED_PIXELS


def test_what_has_no_edges_is_not_judged() -> None:
    assert edge(Image.new("RGB", (300, 300), "grey")) == 0
    assert edge(Image.linear_gradient("L").convert("RGB")) == 0
    for size in ((1, 1), (5, 400), (400, 5), (33, 33)):
        assert edge(Image.new("RGB", size, "red")) == 0


def test_blur_is_judged_at_the_size_of_training() -> None:
    """Three pixels of blur in a picture of 2304 pixels are gone when it is trained at 768."""
    large = texture(4).resize((2304, 2304), Image.Resampling.NEAREST).filter(ImageFilter.GaussianBlur(3))
    seen = look(large)
    assert seen.edge_at(768, 768) < 2.8
    assert seen.edge_at(2304, 2304) > BLURRED_PIXELS


def test_a_large_jpeg_is_decoded_small_and_looks_the_same(tmp_path: Path) -> None:
    large = texture(5).resize((1600, 1600), Image.Resampling.BICUBIC)
    large.save(tmp_path / "a.jpg", quality=92)
    seen, whole = look_at(tmp_path / "a.jpg"), look(large)
    assert seen is not None
    assert seen.edge_at(LOOKED_AT, LOOKED_AT) == pytest.approx(whole.edge_at(LOOKED_AT, LOOKED_AT), rel=0.25)
    assert near_copies({"a": seen, "b": whole}) == [["a", "b"]]


def test_what_cannot_be_read_has_no_look(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert look_at(tmp_path / "a.png") is None
    assert look_at(tmp_path / "missing.png") is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_can_be_looked_at(tmp_path: Path, mode: str) -> None:
    image = texture(6).convert("L").convert(mode) if mode in ("I;16", "F") else texture(6).convert(mode)
    image.save(tmp_path / "a.tif")
    assert look_at(tmp_path / "a.tif") is not None


# ----------------------------------------------------------------------------------------------------------- the demo
@pytest.fixture(scope="module")
def demo() -> dict[Path, Look]:
    seen = {path: look_at(path) for path in sorted(DEMO.rglob("*.png"))}
    return {path: one for path, one in seen.items() if one is not None}


def test_no_picture_of_the_demo_is_blurred_or_a_near_copy(demo: dict[Path, Look]) -> None:
    assert len(demo) == 88
    assert max(seen.edge_at(96, 96) for seen in demo.values()) < 2
    for folder in ("img", "reg", "held_out"):
        assert near_copies({path: seen for path, seen in demo.items() if folder in path.parts}) == []


# --------------------------------------------------------------------------------------------------------- near-copies
COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved anew": lambda image: again(image, 40),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "twice as large": lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.15),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "a hair cut off": lambda image: image.crop((3, 3, image.width - 1, image.height - 1)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_picture_is_known_again(how: str) -> None:
    images = {f"{kind} {seed}": KINDS[kind](seed) for kind in ("texture", "drawing", "portrait") for seed in (1, 2)}
    looks = {name: look(image) for name, image in images.items()}
    looks |= {f"{name} again": look(COPIES[how](image)) for name, image in images.items()}
    assert near_copies(looks) == [[name, f"{name} again"] for name in images]


def test_like_drawings_of_another_shirt_or_place_are_no_copies() -> None:
    looks = {seed: look(drawing(seed)) for seed in range(12)}
    assert near_copies(looks) == []
    for one, other in combinations(range(4), 2):
        assert near_copies({one: look(texture(one)), other: look(texture(other))}) == []


def test_plain_pictures_and_none_have_no_copies() -> None:
    plain = look(Image.new("RGB", (80, 80), "navy"))
    assert near_copies({1: plain, 2: plain}) == []
    assert near_copies({}) == []


def test_all_of_a_group_are_like_its_first() -> None:
    """Of frames of a film each is like the next one, and the last is not like the first."""
    scene = texture(7).resize((800, 800), Image.Resampling.BICUBIC)
    looks = {shift: look(scene.crop((shift, 0, shift + 400, 400))) for shift in range(0, 120, 4)}
    groups = near_copies(looks)
    assert len(groups) > 1
    assert all(group == sorted(group) for group in groups)
    assert max(group[-1] - group[0] for group in groups) < 60


# --------------------------------------------------------------------------------------------------------- transparency
@pytest.mark.parametrize(("colour", "under"), [("black", "black"), ("white", "white"), ("red", "picture")])
def test_what_lies_under_is_named(colour: str, under: str) -> None:
    image = Image.new("RGB", (100, 100), colour)
    image.putalpha(0)
    image.paste((9, 200, 90, 255), (0, 0, 50, 100))
    seen = look(image)
    assert seen.clear == pytest.approx(0.5)
    assert seen.under == under


def test_an_alpha_channel_that_is_opaque_is_no_transparency() -> None:
    image = texture(1)
    image.putalpha(255)
    assert (look(image).clear, look(image).under) == (0, "")
    image.putalpha(90)
    assert look(image).under == "picture"
