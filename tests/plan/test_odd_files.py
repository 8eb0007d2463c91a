"""Kinds of pictures and things with a picture's name: used as the report says, or left out by name; never a hang."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from engine.plan.dataset import Dataset, scan
from engine.plan.dataset_checks import check_dataset
from engine.plan.errors import UserError
from engine.plan.pictures import load, load_with_alpha, measure, picture_files
from engine.plan.project import Project

CORNERS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250))
"""Left above, right above, left below, right below, as people see it."""


def folder(project: Project) -> Path:
    return project.image_dir / "10_ohwx man"


def codes(dataset: Dataset, project: Project) -> list[str]:
    findings = (*dataset.findings, *check_dataset(project.resolved(), dataset, project))
    return sorted(
        finding.code for finding in findings if finding.code.startswith(("picture", "broken", "not-a", "caption"))
    )


def look(project: Project) -> Dataset:
    return scan(project, project.resolved())


def upright(size: tuple[int, int] = (32, 48)) -> Image.Image:
    image = Image.new("RGB", size)
    for number, colour in enumerate(CORNERS):
        half = (size[0] // 2, size[1] // 2)
        left, top = half[0] * (number % 2), half[1] * (number // 2)
        image.paste(colour, (left, top, left + half[0], top + half[1]))
    return image


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    right, below = image.width - 3, image.height - 3
    return [image.getpixel(place) for place in ((2, 2), (right, 2), (2, below), (right, below))]  # type: ignore[misc]


# How a camera that is held so writes what is seen upright: the inverse of what EXIF says is to be done.
HELD: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", HELD)
def test_every_picture_is_trained_as_people_see_it(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{ending}"
    HELD[orientation](upright()).save(path, exif=exif, **({"quality": 95} if ending in (".jpg", ".webp") else {}))
    size = measure(path)
    assert (size.problem, size.width, size.height) == ("", 32, 48)
    pixels = load(path)
    assert pixels.size == (32, 48)
    for seen, meant in zip(corners(pixels), CORNERS, strict=True):
        assert seen == pytest.approx(meant, abs=30)


# ---------------------------------------------------------------------------------------------------------- formats
@pytest.mark.parametrize("ending", [".gif", ".tif", ".tiff", ".GIF", ".Tif"])
def test_gif_and_tiff_are_pictures_too(project: Project, ending: str) -> None:
    path = folder(project) / f"a{ending}"
    Image.new("RGB", (64, 64), (10, 200, 30)).save(path)
    path.with_suffix(".txt").write_text("ohwx, a man", encoding="utf-8")
    dataset = look(project)
    assert [picture.path.name for picture in dataset.used if picture.path == path] == [path.name]
    assert load(path).getpixel((5, 5)) == (10, 200, 30)
    assert codes(dataset, project) == []


def test_an_animated_gif_is_said_and_its_first_frame_used(project: Project) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    path = folder(project) / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    path.with_suffix(".txt").write_text("ohwx", encoding="utf-8")
    assert codes(look(project), project) == ["picture-animated"]
    assert load(path).getpixel((5, 5)) == (250, 0, 0)


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (Image.fromarray(np.full((8, 8), 25700, dtype=np.uint16)), (100, 100, 100)),
        (Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32)), (127, 127, 127)),
        (Image.fromarray(np.full((8, 8), 100.0, dtype=np.float32)), (100, 100, 100)),
        (Image.new("CMYK", (8, 8), (0, 0, 0, 55)), (200, 200, 200)),
        (Image.new("LA", (8, 8), (77, 0)), (77, 77, 77)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4), (10, 200, 30)),
        (Image.new("RGBA", (8, 8), (10, 200, 30, 0)), (10, 200, 30)),
    ],
    ids=["16 bits", "fractions", "float", "CMYK", "LA", "1 bit", "palette", "RGBA"],
)
def test_every_mode_of_a_tiff_becomes_the_rgb_that_is_seen(
    tmp_path: Path, image: Image.Image, pixel: tuple[int, int, int]
) -> None:
    image.save(tmp_path / "a.tif")
    assert measure(tmp_path / "a.tif").problem == ""
    assert load(tmp_path / "a.tif").getpixel((1, 1)) == pytest.approx(pixel, abs=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_what_a_picture_is_decides_and_not_what_its_name_ends_in(project: Project, kind: str) -> None:
    path = folder(project) / "000.png"
    Image.new("RGB", (64, 96), (10, 200, 30)).save(path, kind)
    picture = look(project).pictures[0]
    assert (picture.width, picture.height, picture.used) == (64, 96, True)
    assert load(path).getpixel((5, 5)) == pytest.approx((10, 200, 30), abs=3)


def test_pictures_of_kinds_that_are_not_read_are_named_and_not_passed_over(project: Project) -> None:
    for name in ("IMG_1.PSD", "IMG_2.cr2", ".hidden.cr2", "x.psd"):
        (folder(project) / name).write_bytes(b"something")
    dataset = look(project)
    (finding,) = (finding for finding in dataset.findings if finding.code == "picture-kind")
    assert "3 pictures in 10_ohwx man are of a kind that is not read here" in finding.message
    assert "IMG_1.PSD" in finding.message
    assert "PNG or JPEG" in finding.hint


def test_a_postscript_program_named_like_a_picture_is_not_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: run.append(a))
    path = folder(project) / "000.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n(x) (w) file\n%%EOF\n")
    assert codes(look(project), project) == ["broken-picture"]
    with pytest.raises(UserError, match="are not a picture"):
        load(path)
    assert run == []


# ------------------------------------------------------------------------------------------------------ lies and bombs
def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def huge_gif() -> bytes:
    screen = struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02L\x01\x00;"


def huge_bmp() -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 58, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 4, 0, 0, 0, 0) + bytes(4)


@pytest.mark.parametrize(
    "content",
    [png(60_000, 60_000, bytes(64)), png(2**31 - 1, 2**31 - 1, b""), huge_gif(), huge_bmp()],
    ids=["png", "png-most", "gif", "bmp"],
)
def test_a_small_file_that_says_it_is_huge_is_left_out_by_name(project: Project, content: bytes) -> None:
    (folder(project) / "001.png").write_bytes(content)
    dataset = look(project)
    assert [picture.used for picture in dataset.pictures] == [True, False, True]
    (finding,) = dataset.findings
    assert "001.png" in finding.message
    assert "too many pixels" in finding.message
    with pytest.raises(UserError, match="too many pixels"):
        load(folder(project) / "001.png")


@pytest.mark.parametrize("size", [(0, 9), (9, 0), (1, 1), (31, 500), (500, 31)])
def test_a_picture_without_room_for_a_bucket_is_left_out_by_name(project: Project, size: tuple[int, int]) -> None:
    (folder(project) / "001.png").write_bytes(png(*size, bytes(size[1] * (3 * size[0] + 1))))
    dataset = look(project)
    assert [picture.used for picture in dataset.pictures] == [True, False, True]
    assert "001.png" in dataset.findings[0].message


def test_the_same_picture_in_another_format_is_no_copy_for_its_bytes_differ(project: Project) -> None:
    Image.open(folder(project) / "000.png").save(folder(project) / "000.bmp")
    assert codes(look(project), project) == []
    shutil.copy(folder(project) / "000.png", folder(project) / "copy.png")
    assert codes(look(project), project) == ["caption-missing", "picture-duplicate"]


# -------------------------------------------------------------------------------------------- what is no file at all
@pytest.fixture
def crowded(project: Project) -> Project:
    """Beside the pictures lies all that can have a picture's name."""
    place = folder(project)
    os.mkfifo(place / "fifo.png")
    (place / "folder.png").mkdir()
    (place / "loop.png").symlink_to("loop.png")
    (place / "loop-1.png").symlink_to("loop-2.png")
    (place / "loop-2.png").symlink_to("loop-1.png")
    (place / "device.png").symlink_to("/dev/zero")
    (place / "nowhere.png").symlink_to("/nowhere/at/all.png")
    (place / "to-itself").symlink_to(place)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(place)  # the path of a socket has to be short
        try:
            listener.bind("socket.png")
        finally:
            os.chdir(here)
    return project


def test_what_is_named_like_a_picture_and_is_none_is_said_and_not_opened(crowded: Project) -> None:
    dataset = look(crowded)
    assert [picture.path.name for picture in dataset.used] == ["000.png", "001.png", "002.png"]
    said = {f.message.split('"')[1]: f.message for f in dataset.findings if f.code == "not-a-picture"}
    assert {name.removesuffix(".png") for name in said} == {
        "fifo",
        "folder",
        "loop",
        "loop-1",
        "loop-2",
        "device",
        "nowhere",
        "socket",
    }
    assert "a folder" in said["folder.png"]
    assert "a link that leads nowhere" in said["loop.png"]
    assert "not a file" in said["fifo.png"]
    assert len(list(folder(crowded).iterdir())) == 15  # nothing was added or taken away


@pytest.mark.parametrize("caption", ["fifo", "device", "folder", "loop"])
def test_what_has_a_captions_name_and_is_none_is_no_caption(project: Project, caption: str) -> None:
    path = folder(project) / "001.txt"
    path.unlink()
    make: dict[str, Callable[[], None]] = {
        "fifo": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to("001.txt"),
    }
    make[caption]()
    picture = look(project).pictures[1]
    assert (picture.caption, picture.used) == ("ohwx man", True)
    assert [finding.code for finding in picture.problems] == ["caption-missing"]


NAMES = [
    b"\x1b[31mred\x1b[0m.png",
    b"two\nlines.png",
    b"\xff\xfe.png",
    "\u202egnp.png".encode(),
    b"-rf.png",
    b"$(touch x).png",
    b" .png",
    b"a" * 251 + b".png",
    "e\u0301.png".encode(),
    b"{0}.png",
    b"%s.png",
    b"[bold].png",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("whole", [True, False])
def test_pictures_of_any_name_are_used_or_named(project: Project, name: bytes, whole: bool) -> None:
    path = Path(os.fsdecode(os.fsencode(folder(project)) + b"/" + name))
    try:
        if whole:
            shutil.copy(folder(project) / "000.png", path)
        else:
            path.write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes no such name")
    dataset = look(project)
    (picture,) = (picture for picture in dataset.pictures if picture.path == path)
    assert picture.used == whole
    for finding in (*dataset.findings, *check_dataset(project.resolved(), dataset, project)):
        assert str(finding).isprintable()
        str(finding).encode("utf-8")
    assert path in picture_files(folder(project))[0]
    if whole:
        assert load_with_alpha(path)[0].size == (64, 64)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_picture_that_may_not_be_read_is_left_out_by_name(project: Project) -> None:
    (folder(project) / "001.png").chmod(0)
    dataset = look(project)
    assert "001.png" in dataset.findings[0].message
    assert "you may not read it" in dataset.findings[0].message
