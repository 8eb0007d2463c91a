"""Pictures that are there twice, move, or have no mask; and the modes that picture files come in."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.plan.buckets import size_conditioning
from engine.plan.dataset import Picture, scan
from engine.plan.dataset_checks import check_dataset
from engine.plan.duplicates import HEAD_BYTES, same_files
from engine.plan.errors import Finding
from engine.plan.pictures import load, load_with_alpha, measure
from engine.plan.project import Project


def found(project: Project, **values: object) -> dict[str, Finding]:
    settings = project.resolved(values)
    dataset = scan(project, settings)
    return {finding.code: finding for finding in (*dataset.findings, *check_dataset(settings, dataset, project))}


def folder(project: Project) -> Path:
    return project.image_dir / "10_ohwx man"


# ----------------------------------------------------------------------------------------------------------- duplicates
def test_copies_of_a_picture_are_reported_by_name(project):
    assert "picture-duplicate" not in found(project)
    shutil.copy(folder(project) / "000.png", folder(project) / "z.png")
    finding = found(project)["picture-duplicate"]
    assert finding.level == "warning"
    assert "1 picture is a copy of another: 10_ohwx man/000.png = 10_ohwx man/z.png." in finding.message
    shutil.copy(folder(project) / "000.png", folder(project) / "y.png")
    assert "2 pictures are copies" in found(project)["picture-duplicate"].message


def test_a_training_picture_among_those_for_regularisation_is_a_copy_too(project, pictures_in):
    pictures_in(project.path / "reg" / "1_man", [(64, 64)])
    shutil.copy(folder(project) / "002.png", project.path / "reg" / "1_man" / "000.png")
    assert "10_ohwx man/002.png = 1_man/000.png" in found(project)["picture-duplicate"].message


def test_files_are_told_apart_wherever_they_differ(tmp_path, monkeypatch):
    contents = {"a": b"x" * 100_000, "b": b"x" * 100_000, "c": b"x" * 99_999, "d": b"y" + b"x" * 99_999}
    contents["e"] = b"x" * (HEAD_BYTES + 1) + b"y" + b"x" * (100_000 - HEAD_BYTES - 2)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in contents]
    assert same_files([*paths, tmp_path / "gone"]) == [[tmp_path / "a", tmp_path / "b"]]
    assert same_files([]) == []


# ------------------------------------------------------------------------------------------------------------- animated
@pytest.mark.parametrize("ending", [".webp", ".png"])
def test_an_animated_picture_is_named_and_its_first_frame_used(project, ending):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    path = folder(project) / f"moving{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    path.with_suffix(".txt").write_text("ohwx", encoding="utf-8")
    finding = found(project)["picture-animated"]
    assert path.name in finding.message
    assert finding.level == "note"
    assert load(path).getpixel((5, 5)) == (250, 0, 0)
    assert measure(path).animated
    assert not measure(folder(project) / "000.png").animated


def test_a_photograph_with_a_second_picture_in_its_file_is_no_animation(tmp_path):
    image = Image.new("RGB", (16, 16))
    image.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[image])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.format == "MPO"
    assert not measure(tmp_path / "a.jpg").animated


# ---------------------------------------------------------------------------------------------------------------- masks
def test_a_mask_without_alpha_is_said(project):
    assert "mask-without-alpha" not in found(project)
    finding = found(project, alpha_mask=True)["mask-without-alpha"]
    assert (finding.option, finding.value) == ("alpha_mask", False)
    Image.new("RGBA", (64, 64), (1, 2, 3, 4)).save(folder(project) / "000.png")
    assert "2 of 3 pictures have no alpha channel" in found(project, alpha_mask=True)["mask-without-alpha"].message
    Image.new("RGBA", (64, 64), (1, 2, 3, 4)).save(folder(project) / "001.png")
    one = found(project, alpha_mask=True)["mask-without-alpha"]
    assert "1 of 3 pictures has no alpha channel, so alpha_mask lets all of it be learnt: 002.png" in one.message
    assert "Cut its background out" in one.hint
    Image.new("RGBA", (64, 64), (2, 2, 3, 4)).save(folder(project) / "002.png")
    assert "mask-without-alpha" not in found(project, alpha_mask=True)


# ---------------------------------------------------------------------------------------------------------------- modes
def saved(tmp_path: Path, image: Image.Image, ending: str = ".png", **values: object) -> Path:
    path = tmp_path / f"a{ending}"
    image.save(path, **values)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("image", "ending", "pixel", "alpha"),
    [
        (Image.new("RGB", (4, 4), (10, 200, 30)), ".png", (10, 200, 30), None),
        (Image.new("RGBA", (4, 4), (10, 200, 30, 0)), ".png", (10, 200, 30), 0),  # what lies under it is trained
        (Image.new("RGBA", (4, 4), (10, 200, 30, 99)), ".webp", (10, 200, 30), 99),
        (Image.new("LA", (4, 4), (77, 50)), ".png", (77, 77, 77), 50),
        (Image.new("L", (4, 4), 77), ".png", (77, 77, 77), None),
        (Image.new("1", (4, 4), 1), ".png", (255, 255, 255), None),
        (Image.new("RGB", (4, 4), (10, 200, 30)).quantize(4), ".png", (10, 200, 30), None),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 55)), ".jpg", (200, 200, 200), None),
        (Image.fromarray(np.full((4, 4), 25700, dtype=np.uint16)), ".png", (100, 100, 100), None),
        (Image.new("L", (4, 4), 77), ".bmp", (77, 77, 77), None),
    ],
)
def test_every_mode_becomes_the_rgb_that_is_seen_and_alpha_is_kept_beside(tmp_path, image, ending, pixel, alpha):
    path = saved(tmp_path, image, ending, **({"lossless": True, "exact": True} if ending == ".webp" else {}))
    assert measure(path).problem == ""
    assert measure(path).alpha == (alpha is not None)
    rgb, mask = load_with_alpha(path)
    assert rgb.mode == load(path).mode == "RGB"
    assert rgb.getpixel((1, 1)) == load(path).getpixel((1, 1)) == pytest.approx(pixel, abs=1)
    assert (mask.getpixel((1, 1)) if mask is not None else None) == alpha


@pytest.mark.parametrize(
    ("kind", "values", "pixel", "alpha"),
    [(2, (25700, 51400, 257), (100, 200, 1), None), (6, (25700, 51400, 257, 12850), (100, 200, 1), 50)],
)
def test_16_bit_colours_keep_their_colours(tmp_path, kind, values, pixel, alpha):
    """Kind 2 is RGB, 6 is RGBA; Pillow writes neither with 16 bits."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + struct.pack(f">{len(values)}H", *values) * 4
    header = struct.pack(">IIBBBBB", 4, 4, 16, kind, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 4)) + chunk(b"IEND", b"")
    )
    rgb, mask = load_with_alpha(path)
    assert measure(path).alpha == (alpha is not None)
    assert rgb.getpixel((0, 0)) == pixel
    assert (mask.getpixel((0, 0)) if mask is not None else None) == alpha


def test_a_transparent_colour_of_a_palette_is_alpha(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.putpixel((0, 0), 0)
    path = saved(tmp_path, image, transparency=0)
    rgb, mask = load_with_alpha(path)
    assert measure(path).alpha
    assert mask is not None
    assert (mask.getpixel((0, 0)), mask.getpixel((1, 1))) == (0, 255)
    assert rgb.getpixel((1, 1)) == (10, 200, 30)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "LA"])
def test_orientation_is_obeyed_in_every_mode_and_for_alpha_too(tmp_path, mode):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, Image.new(mode, (6, 3)), exif=exif)
    rgb, mask = load_with_alpha(path)
    assert rgb.size == (3, 6) == (measure(path).width, measure(path).height)
    assert mask is None or mask.size == (3, 6)


# ---------------------------------------------------------------------------------------------------- mirrored
@pytest.mark.parametrize(
    ("bucket", "image", "left", "mirrored"),
    [
        ((1024, 1024), (1024, 1024), 0, 0),
        ((64, 64), (60, 100), 12, 13),  # 38.4 px wide from 12: its right edge is at 50.4
        ((832, 1216), (1500, 2000), 0, 0),
        ((1344, 768), (1000, 768), 172, 172),
        ((896, 1152), (800, 1152), 48, 48),
    ],
)
def test_the_left_edge_of_a_mirrored_picture_is_the_width_without_the_right_one(bucket, image, left, mirrored):
    straight, other = size_conditioning(bucket, image), size_conditioning(bucket, image, mirrored=True)
    assert (straight[3], other[3]) == (left, mirrored)
    assert straight[:3] + straight[4:] == other[:3] + other[4:]


def test_pictures_know_their_alpha(project):
    Image.new("RGBA", (64, 64), (1, 2, 3, 4)).save(folder(project) / "000.png")
    pictures: tuple[Picture, ...] = scan(project, project.resolved()).pictures
    assert [picture.alpha for picture in pictures] == [True, False, False]
