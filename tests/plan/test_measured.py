"""Thousands of pictures are read once: what they were found to be is kept in the project's cache."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from engine.plan import known_files, measured, pictures
from engine.plan.measured import NAME, keep_measures, kept_measures
from engine.plan.pictures import Size, measure
from engine.plan.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "img" / "1_ohwx man"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.new("RGBA" if number else "RGB", (40 + number, 30)).save(folder / f"{number}.png")
    (folder / "4.png").write_bytes(b"no picture")
    return Project.open(tmp_path)


@pytest.fixture(autouse=True)
def few_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "WORTH_KEEPING", 2)
    monkeypatch.setattr(known_files, "SETTLED_SECONDS", -3600.0)


def files(project: Project) -> list[Path]:
    return sorted((project.image_dir / "1_ohwx man").iterdir())


def look(project: Project) -> tuple[list[Size], int]:
    """What the pictures are found to be, and how many were read for it."""
    measures = kept_measures(project)
    sizes = [measures(path) for path in files(project)]
    read = measures.read
    keep_measures(project, measures)
    return sizes, read


def test_the_second_time_nothing_is_read_and_the_same_is_found(project: Project) -> None:
    first = look(project)
    assert first == ([measure(path) for path in files(project)], 5)
    assert look(project) == (first[0], 0)


def test_a_changed_picture_of_the_same_name_size_and_time_is_read(project: Project) -> None:
    path, _ = files(project)[0], look(project)
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    sizes, read = look(project)
    assert read == 1
    assert sizes[0].problem


def test_what_changed_a_moment_ago_is_not_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_files, "SETTLED_SECONDS", 3600.0)
    assert look(project)[1] == look(project)[1] == 5


def test_a_few_pictures_leave_no_trace(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "WORTH_KEEPING", 6)
    look(project)
    assert not project.cache_dir.exists()


def spoilt(project: Project) -> list[object]:
    known = json.loads((project.cache_dir / NAME).read_text())
    name, row = next(iter(known["pictures"].items()))
    rows = ([], row[:-1], [*row, 1], ["1", *row[1:]], [*row[:3], "40", *row[4:]], [*row[:5], None, *row[6:]], None, {})
    return [[], {}, None, {"v": 2, "pictures": {}}, {"v": 1}, *({"v": 1, "pictures": {name: r}} for r in rows)]


def test_a_spoilt_file_is_as_none(project: Project) -> None:
    expected = look(project)
    for table in spoilt(project):
        (project.cache_dir / NAME).write_text(json.dumps(table))
        assert look(project) == expected
    (project.cache_dir / NAME).write_text("[" * 100_000)
    assert look(project) == expected


def test_a_cache_that_cannot_be_written_is_no_error(project: Project) -> None:
    project.cache_dir.write_text("in the way")
    assert look(project)[1] == look(project)[1] == 5


def test_it_keeps_only_what_is_older_than_itself(project: Project) -> None:
    look(project)
    known = kept_measures(project).known
    assert all(max(stamp[1:]) <= time.time_ns() for stamp, _ in known.values())
    assert set(known) == set(files(project))


# ------------------------------------------------------------------------------------------------- texts in a PNG
def with_text(folder: Path, keyword: str, text: str, **how: bool) -> Path:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(keyword, text) if how.get("international") else info.add_text(
        keyword, text, zip=how.get("zip", False)
    )
    Image.new("RGB", (40, 30)).save(folder / "text.png", pnginfo=info)
    return folder / "text.png"


@pytest.mark.parametrize("how", [{}, {"zip": True}, {"international": True}])
def test_a_prompt_inside_a_png_does_not_make_it_slow(tmp_path, monkeypatch, how) -> None:
    path = with_text(tmp_path, "parameters", "a man, Steps: 20", **how)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda *_: pytest.fail("decoded"))
    assert measure(path) == Size(40, 30)


def test_an_orientation_inside_a_text_is_still_obeyed(tmp_path: Path) -> None:
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    path = with_text(tmp_path, "XML:com.adobe.xmp", xmp, international=True)
    assert (measure(path).width, measure(path).height) == pictures.load(path).size == (30, 40)
