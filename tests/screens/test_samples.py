"""Sample pictures: which one is looked at, how it is drawn in cells, and what stands there where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from textual.pilot import Pilot

from benchmarks.recorded import hold
from engine.runs.events import EventWriter
from engine.runs.snapshot import Sample
from lora_tui.look import Look
from lora_tui.screens.series import Gallery
from lora_tui.widgets import picture
from lora_tui.widgets.picture import Picture, strips, thumbnail
from tests.screens.app_test import dashboard, drive, press, text, texts


def sample(step: int, prompt: str = "a", seed: int = 1, asked: bool = False) -> Sample:
    return Sample(step, f"samples/{prompt}-{step}.png", prompt, seed, 1.0, asked)


def gallery(*samples: Sample) -> Gallery:
    made = Gallery()
    made.update(list(samples))
    return made


def test_gallery_follows_the_newest_of_its_series_until_it_is_moved():
    shown = gallery(sample(0), sample(0, "b"), sample(250), sample(250, "b"))
    assert shown.current == sample(250)
    shown.update([*shown.samples, sample(500), sample(500, "b")])
    assert shown.current == sample(500)
    shown.through_time(-1)
    shown.update([*shown.samples, sample(750)])
    assert shown.current == sample(250)
    shown.through_time(10)
    shown.update([*shown.samples, sample(1000)])
    assert shown.current == sample(1000)


def test_gallery_shows_the_same_moment_of_another_prompt():
    shown = gallery(sample(0), sample(0, "b"), sample(250), sample(250, "b"), sample(500))
    shown.through_time(-1)
    shown.through_prompts(1)
    assert shown.current == sample(250, "b")
    shown.through_prompts(1)
    assert shown.current == sample(250)


def test_same_prompt_with_another_seed_is_another_series():
    shown = gallery(sample(0, seed=1), sample(0, seed=2), sample(250, seed=1))
    assert [one.step for one in shown.series] == [0, 250]


def test_sample_that_was_asked_for_is_shown_when_it_comes():
    shown = gallery(sample(0), sample(250))
    shown.update([*shown.samples, sample(300, "mine", asked=True)])
    assert shown.current == sample(300, "mine", asked=True)


def test_gallery_survives_a_run_that_takes_back_its_samples():
    shown = gallery(sample(0), sample(250), sample(500))
    shown.through_time(-1)
    shown.update([sample(0)])
    assert shown.current == sample(0)
    shown.update([])
    assert shown.current is None
    shown.through_time(1)
    shown.through_prompts(1)


def test_two_pixels_stand_in_one_cell_one_above_the_other(tmp_path):
    path = tmp_path / "two.png"
    image = Image.new("RGB", (1, 2))
    image.putpixel((0, 0), (255, 0, 0))
    image.putpixel((0, 1), (0, 0, 255))
    image.save(path)
    ((segment,),) = strips(thumbnail(path, 10, 10), "half")
    assert segment.text == "▀"
    assert segment.style.color.triplet == (255, 0, 0)
    assert segment.style.bgcolor.triplet == (0, 0, 255)


def test_neighbours_of_one_colour_are_one_segment(tmp_path):
    path = tmp_path / "plain.png"
    Image.new("RGB", (40, 40), (10, 200, 30)).save(path)
    rows = strips(thumbnail(path, 40, 40), "half")
    assert [len(list(row)) for row in rows] == [1] * 20


def test_256_colours_stay_within_the_palette(tmp_path):
    path = tmp_path / "many.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    for row in strips(thumbnail(path, 30, 30, palette=True), "half"):
        for segment in row:
            assert 16 <= segment.style.color.number <= 255
            assert 16 <= segment.style.bgcolor.number <= 255


@pytest.mark.parametrize("size", [(1, 1), (3000, 10), (10, 3000), (7, 5)])
def test_picture_of_any_shape_fits_and_keeps_its_shape(tmp_path, size):
    path = tmp_path / "shape.png"
    Image.new("RGB", size, (1, 2, 3)).save(path)
    made = thumbnail(path, 40, 40)
    assert 1 <= made.width <= 40
    assert 1 <= made.height <= 40
    assert strips(made, "half")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_picture_of_any_kind_of_pixel_is_drawn(tmp_path, mode):
    path = tmp_path / ("x.tiff" if mode in ("CMYK", "I;16") else "x.png")
    Image.new(mode, (8, 8)).save(path)
    assert thumbnail(path, 8, 8).trouble == ""


def test_broken_missing_and_huge_pictures_are_sentences(tmp_path, monkeypatch):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nonsense" * 20)
    cut = tmp_path / "cut.png"
    Image.effect_noise((64, 64), 50).convert("RGB").save(cut)
    cut.write_bytes(cut.read_bytes()[:-900])
    monkeypatch.setattr(picture, "MOST_PIXELS", 100)
    huge = tmp_path / "hu\x1bge.png"
    Image.new("RGB", (11, 10)).save(huge)
    assert thumbnail(broken, 8, 8).trouble == "The picture broken.png cannot be read; it may be damaged."
    assert thumbnail(tmp_path / "gone.png", 8, 8).trouble == "The picture gone.png is not there (any more)."
    assert "too large to be shown here (11 × 10)" in thumbnail(huge, 8, 8).trouble
    assert "\x1b" not in thumbnail(huge, 8, 8).trouble
    monkeypatch.setattr(picture, "MOST_PIXELS", 10**6)
    assert "may be damaged" in thumbnail(cut, 8, 8).trouble
    assert (
        "is not there" in thumbnail(Path("/" + "x" * 5000), 8, 8).trouble or thumbnail(Path("/x" * 3000), 8, 8).trouble
    )


def test_picture_is_read_once_for_a_size_and_again_when_the_file_has_changed(tmp_path, monkeypatch):
    path = tmp_path / "one.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    read = []
    before = picture._read
    monkeypatch.setattr(picture, "_read", lambda *asked: read.append(asked) or before(*asked))
    for _ in range(3):
        thumbnail(path, 8, 8)
    assert len(read) == 1
    Image.new("RGB", (9, 9), (200, 2, 3)).save(path)
    assert thumbnail(path, 9, 9).pixels[0] == 200


def test_without_images_the_path_is_shown(endings):
    run = endings["finished"]
    (screen,) = texts(run, "finished", "small", "2", look=Look(images=False, paints_per_second=50))
    assert "▀" not in screen
    assert f"{run.path}/samples/step00003000_00_42.png" in "".join(screen.split())  # over two lines


def test_large_picture_walks_through_time_and_prompts(endings):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "g")
        assert "step 3,000  13 of 13 in time  prompt 1 of 3" in text(pilot)
        await press(pilot, "left", "left")
        assert "step 2,500  11 of 13" in text(pilot)
        await press(pilot, "down")
        assert "step 2,500  11 of 13 in time  prompt 2 of 3" in text(pilot)
        assert "red scarf" in text(pilot)
        assert "samples/step00002500_01_43.png" in text(pilot)
        await press(pilot, "0")
        assert "step 0  1 of 13" in text(pilot)
        await press(pilot, "escape")
        assert "Progress" in text(pilot)

    drive(lambda: dashboard(endings["finished"]), act)


def test_picture_that_cannot_be_shown_is_a_sentence_on_the_screen(running):
    with EventWriter(running.events_path) as events:
        for step, name in ((300, "gone"), (301, "broken")):
            events.write("sample", step=step, path=f"samples/{name}.png", prompt="p", seed=9, weight=1.0)
    (running.samples_dir / "broken.png").write_bytes(b"GIF89a")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "g", "up")
        assert "broken.png cannot be read" in text(pilot)
        await press(pilot, "left")
        assert "gone.png is not there" in text(pilot)

    with hold(running):
        drive(lambda: dashboard(running), act)


def test_picture_is_not_drawn_again_on_a_tick(endings, monkeypatch):
    drawn = []
    before = Picture.render_line

    def render_line(self, y):
        drawn.append(y)
        return before(self, y)

    async def act(pilot: Pilot[None]) -> None:
        monkeypatch.setattr(Picture, "render_line", render_line)
        await press(pilot)
        await press(pilot)
        assert drawn == []

    with hold(endings["running"]):
        drive(lambda: dashboard(endings["running"]), act)
