"""The page of pictures: what is against each, near-copies left out with one key, and the recommended repeats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from textual.pilot import Pilot

from engine.plan.errors import Finding
from engine.plan.project import Project
from lora_tui.screens.picture_rows import said_of
from lora_tui.widgets.lines import Lines
from tests.plan.drawn import drawing, texture
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, type_in

SETTINGS = {"pretrained_model_name_or_path": "micro", "resolution": "384,384", "train_batch_size": 1}


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Four good pictures, one of them three times, a blurred one and a broken one."""
    project = Project.create(tmp_path / "face", "face", "ohwx", "man", 10)
    folder = project.image_dir / "10_ohwx man"
    for seed in range(4):
        drawing(seed).save(folder / f"fine_{seed}.png")
    copied = drawing(3).resize((300, 300), Image.Resampling.LANCZOS)
    copied.save(folder / "copied.png")
    drawing(3).save(folder / "again.jpg", quality=70)
    texture(1).filter(ImageFilter.GaussianBlur(4)).save(folder / "shaken.png")
    (folder / "broken.png").write_bytes(b"x")
    for path in [*folder.iterdir()]:
        path.with_suffix(".txt").write_text("ohwx man", encoding="utf-8")
    project.settings.update(SETTINGS)
    project.save()
    return project.path


def left_out(faces: Path) -> list[str]:
    return [Path(path).name for path in Project.open(faces).left_out]


@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_the_page_counts_and_names_what_is_against_pictures(faces: Path, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "end", "home")
        shown = text(pilot)
        assert "7 pictures, 70 an epoch; at 384 × 384" in shown
        assert "4 ok  1 blurred  2 near-copies  1 unusable" in shown
        assert "near-copy" in shown
        assert "384 × 384" in shown
        assert "━" in shown
        await press(pilot, "end")
        await press(pilot, *("j",) * 4)
        assert "copies out" in text(pilot)

    drive(faces, act, size)


@pytest.mark.parametrize("size", ["small", "wide", "huge", "narrow"])
def test_the_list_stays_where_it_is_whatever_is_said_of_the_chosen_picture(faces: Path, size: str) -> None:
    folder = faces / "img" / "10_ohwx man"
    blurred = drawing(9).resize((600, 200)).filter(ImageFilter.GaussianBlur(4))
    blurred.save(folder / f"wide_{'and_shaken_' * 16}.png")  # with a remark of many lines

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "home")
        heights, said = set(), set()
        for _ in range(10):
            heights.add(pilot.app.screen.query_one("#list").region)
            about = pilot.app.screen.query_one("#about", Lines)
            said.add(len(about.plain))
            assert len(about.plain) <= about.content_size.height
            await press(pilot, "down")
        assert len(heights) == 1
        assert len(said) > 1
        assert about.plain[0].startswith(" 600") or "wide_and_shaken" in about.plain[0]

    drive(faces, act, size)


def test_remarks_for_which_there_is_no_room_are_named() -> None:
    words = {"blurred": "warning", "see-through": "warning", "caption-missing": "note", "near-copy": "note"}
    found = tuple(Finding(code, f"{code} is said here.", level=level) for code, level in words.items())  # type: ignore[arg-type]
    rows = [row.plain for row in said_of(found, 60, 1)]
    assert rows == [" blurred is said here.", " and 3 more remarks: see-through, no caption, best copy"]
    assert [row.plain for row in said_of(found[:2], 60, 1)][-1] == " and 1 more remark: see-through"


def test_the_chosen_picture_is_explained_with_a_remedy(faces: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "end")
        assert "shaken.png looks blurred" in text(pilot)
        assert "Leave it out, unless" in text(pilot)
        await press(pilot, "j")  # after the last one comes the first
        assert "again.jpg is nearly the same as" in text(pilot)
        assert "c keeps the best of all near-copies" in text(pilot)

    drive(faces, act)


def test_one_key_leaves_the_worse_copies_out_and_undo_takes_them_back(faces: Path) -> None:
    files = sorted((faces / "img" / "10_ohwx man").iterdir())

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "c")
        assert sorted(left_out(faces)) == ["again.jpg", "copied.png"]
        assert "2 near-copies left out, the best of each kept; u takes them back." in said(pilot)[1]
        assert "  2 near-copies" not in text(pilot)
        assert "c copies out" not in text(pilot)
        await press(pilot, "u")
        assert left_out(faces) == []
        assert "2 near-copies" in text(pilot)
        await press(pilot, "end", "space")
        assert left_out(faces) == ["shaken.png"]

    drive(faces, act)
    assert sorted((faces / "img" / "10_ohwx man").iterdir()) == files


@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_it_stays_to_be_seen_why_a_picture_was_left_out(faces: Path, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "end", "space")
        await seen(pilot)
        await press(pilot, "space", "space")
        await seen(pilot)

    async def seen(pilot: Pilot[None]) -> None:
        shown = text(pilot)
        assert "Left out; Space takes it back." in shown
        assert "shaken.png looks blurred" in shown
        assert "Leave it out, unless" not in shown
        assert ("left out: blurred" if size != "wide" else "left out") in shown  # as far as there is room
        assert "1 blurred" not in shown  # it counts for nothing
        await press(pilot, "home")
        assert "near-copy" in text(pilot)
        await press(pilot, "space")
        assert "again.jpg is nearly the same as" in text(pilot)
        assert "c keeps the best" not in text(pilot)
        await press(pilot, "space", "down", "down", "down", "space")
        assert "Nothing to remark" not in text(pilot)
        await press(pilot, "space")
        assert "Nothing to remark" in text(pilot)
        await press(pilot, "end")

    drive(faces, act, size)
    assert left_out(faces) == ["shaken.png"]
    drive(faces, lambda pilot: _again(pilot, seen), size)


async def _again(pilot: Pilot[None], seen: Callable[[Pilot[None]], Awaitable[None]]) -> None:
    await press(pilot, "2", "end")
    await seen(pilot)


def test_the_remarks_are_found_again_without_being_worked_out_twice(faces: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        looks = pilot.app.pages.wizard._surveyor.looks  # type: ignore[attr-defined]
        assert looks.looked == 7
        await press(pilot, "2", "space", "space")
        assert looks.looked == 7
        texture(8).save(faces / "img" / "10_ohwx man" / "shaken.png")
        pilot.app.pages.wizard.look_again()  # type: ignore[attr-defined]
        await press(pilot, "end")
        assert looks.looked == 8
        assert "blurred" not in text(pilot)

    drive(faces, act)


def test_recommended_repeats_are_shown_and_set_with_one_key(faces: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", *("down",) * 4)
        (row,) = (row for row in text(pilot).splitlines() if "Steps wished for" in row)
        assert "none: 280, as now" in row
        assert "as recommended" in row
        await press(pilot, "enter")
        await type_in(pilot, "560")
        await press(pilot, "enter")
        assert "560 steps (wished for) ÷ 4 epochs × 1 picture a step = 140 pictures an epoch." in text(pilot)
        assert "140 ÷ 7 pictures = 20 repeats." in text(pilot)
        await press(pilot, "r")
        assert "That makes 560 steps." in said(pilot)[1]
        assert Project.open(faces).repeats == {"10_ohwx man": 20}
        await press(pilot, "u")
        assert Project.open(faces).repeats == {}
        await press(pilot, "right")
        assert "660 steps (wished for)" in text(pilot)

    drive(faces, act, "wide")
    drive(faces, lambda pilot: press(pilot, "1"), "small")


def test_a_wish_that_is_no_number_is_refused(faces: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", *("down",) * 4, "enter")
        await type_in(pilot, "many")
        await press(pilot, "enter")
        assert said(pilot) == ("x", "Steps are a whole number from 1 to 10,000,000.")

    drive(faces, act)


def test_a_video_is_refused_where_a_folder_is_asked_for(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "a")
        await type_in(pilot, str(tmp_path / "clip.mp4"))
        await press(pilot, "enter")
        assert "is a video" in text(pilot)
        assert "ffmpeg" in text(pilot)

    drive(faces, act)
