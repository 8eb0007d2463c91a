"""The pictures' report and the recommended repeats by prompts."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import ImageFilter

from engine.plan.project import Project
from tests.plan.drawn import drawing, texture
from tests.prompts.conversation import converse


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    project = Project.create(tmp_path / "face", "face", "ohwx", "man", 10)
    folder = project.image_dir / "10_ohwx man"
    for seed in range(3):
        drawing(seed).save(folder / f"fine_{seed}.png")
    drawing(2).save(folder / "again.jpg", quality=70)
    texture(1).filter(ImageFilter.GaussianBlur(4)).save(folder / "shaken.png")
    for path in [*folder.iterdir()]:
        path.with_suffix(".txt").write_text("ohwx man", encoding="utf-8")
    project.settings.update({"pretrained_model_name_or_path": "micro", "resolution": "384,384", "train_batch_size": 1})
    project.save()
    return project.path


def test_blur_and_near_copies_are_told_and_copies_are_left_out(faces: Path) -> None:
    said = converse(faces, "g pictures", "wait", "copies", "n", "copies", "y", "copies", "u", "q")
    assert "5 trained, 3 with nothing against them, 1 blurred, 1 near-copy." in said
    assert "shaken.png: shaken.png looks blurred" in said
    assert "Those are: 10_ohwx man/again.jpg." in said
    assert "Left out. Type u to take that back." in said
    assert "None that was looked at is nearly the same as another." in said
    assert Project.open(faces).left_out == []


def test_near_copies_stay_out(faces: Path) -> None:
    converse(faces, "g pictures", "wait", "copies", "y", "q")
    assert Project.open(faces).left_out == ["img/10_ohwx man/again.jpg"]


def test_repeats_are_recommended_for_the_steps_wished_for(faces: Path) -> None:
    said = converse(faces, "5", "many", "400", "y", "repeats", "q")
    assert "Steps wished for: none, as now 200, from which the repeats are recommended" in " ".join(said.split())
    assert "Error: Steps are a whole number" in said
    assert "100 / 5 pictures = 20 repeats." in said
    assert "The repeats are so already." in said
    assert Project.open(faces).repeats == {"10_ohwx man": 20}


def test_a_video_is_no_folder(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    said = converse(faces, "g pictures", "add", str(tmp_path / "clip.mp4"), "", "q")
    assert "clip.mp4 is a video; what is taken over must be a folder of pictures." in said
    assert "ffmpeg" in said
