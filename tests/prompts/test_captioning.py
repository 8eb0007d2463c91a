"""Automatic captions by prompts: options, the start, each caption said, and going back."""

from __future__ import annotations

from pathlib import Path

from engine.plan.project import Project
from engine.runs.folder import list_runs
from tests.prompts.conversation import converse
from tests.training import picture


def without_captions(folder: Path) -> Path:
    for path in folder.glob("img/*/*.txt"):
        path.unlink()
    return folder


def test_options_are_changed_and_captions_written_and_said(folder: Path) -> None:
    without_captions(folder)
    said = converse(folder, "g 4", "auto", "1", "blop", "class", "3", "in oil", "o", "99", "start")
    assert "Error: model must be" in said
    assert "Captioner is class now." in said
    assert "Beams: 10" in said
    assert "There is no 99 here." in said
    assert "6 captions will be written" in said
    assert "png: ohwx, man, in oil" in said
    assert "6 captions written" in said
    assert Project.open(folder).captioning == {"model": "class", "suffix": "in oil"}
    assert {path.read_text() for path in folder.glob("img/*/*.txt")} == {"ohwx, man, in oil\n"}


def test_a_captioner_that_is_not_here_is_offered_and_may_be_left(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    without_captions(folder)
    said = converse(folder, "g 4", "auto", "1", "florence-2", "start", "no", "")
    assert "florence-community/Florence-2-base is not on this machine yet. It has about 1.0 GB." in said
    assert not list_runs(folder)


def test_what_auto_takes_and_whom_the_folders_show_is_said(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    picture(folder / "img" / "1_rexo dog" / "d.png", 30)
    said = converse(folder, "g 4", "auto", "")
    assert "Captioner: auto (takes micro, which is here)" in said
    assert "the trigger word and the class of what it shows: ohwx man and rexo dog. For example" in said
