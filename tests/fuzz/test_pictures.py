"""Pictures with changed bytes: measured and loaded, or refused by name; and what was measured is what is loaded."""

from __future__ import annotations

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.plan.buckets import BucketRules
from engine.plan.pictures import Size, load, load_with_alpha, measure
from tests.fuzz.nonsense import answer_of, tries

KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "MPO")
SIZE = (24, 16)


def whole(kind: str, mode: str = "RGB") -> bytes:
    """A small picture of that format, turned by its EXIF data where it can hold any."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture = Image.effect_noise(SIZE, 80).convert(mode)
    picture.save(file, kind, **({} if kind in ("BMP", "GIF") else {"exif": exif}))
    return file.getvalue()


WHOLE = [whole(kind) for kind in KINDS] + [whole("PNG", mode) for mode in ("P", "LA", "1", "RGBA")]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of them with some bytes changed, taken out or put in."""
    content = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, min(len(content), draw(st.sampled_from([40, 10**6])))))
        content[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(content[: draw(st.sampled_from([len(content)] * 3 + [len(content) // 2]))])


@given(damaged())
@tries(250)
def test_no_bytes_make_the_readers_of_pictures_stumble(place: Path, content: bytes) -> None:
    path = place / "a.png"
    path.write_bytes(content)
    size = measure(path)
    assert isinstance(size, Size)
    pixels = answer_of(lambda: load(path), place)
    both = answer_of(lambda: load_with_alpha(path), place)
    if size.problem:
        assert size.width == size.height == 0
        assert size.problem.isprintable()
        return
    assert size.width >= 1
    assert size.height >= 1
    BucketRules((64, 64), step=16).select(size.width, size.height)
    if pixels is not None:
        assert pixels.mode == "RGB"
        assert pixels.size == (size.width, size.height)
        assert both is not None
        assert both[0].tobytes() == pixels.tobytes()
        assert (both[1] is not None) == size.alpha


@given(st.binary(max_size=60))
@tries(100)
def test_no_nonsense_is_a_picture(place: Path, content: bytes) -> None:
    (place / "a.png").write_bytes(content)
    assert measure(place / "a.png").problem
    assert answer_of(lambda: load(place / "a.png"), place) is None
