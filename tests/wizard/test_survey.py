"""Checking a project anew: as rarely as can be, and without reading what has not changed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.plan import captions
from engine.plan.captions import CaptionsRead, read_caption
from engine.plan.pictures import Measures, Size
from engine.plan.pictures import measure as measured
from engine.plan.project import Project
from lora_tui import survey as surveys
from lora_tui.survey import Survey, Surveyor, survey


def test_several_changes_in_a_row_are_checked_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, checked, found = Project.open(folder), [], threading.Event()
    monkeypatch.setattr(surveys, "survey", lambda project, *_: checked.append(project.trigger) or Survey())
    surveyor = Surveyor(lambda survey: found.set(), lambda done, total: None)
    surveyor._rest = 1.0
    for trigger in ("a", "b", "c"):
        project.trigger = trigger
        surveyor.look(project)
    assert found.wait(20)
    assert checked == ["c"]


def test_a_check_that_is_outdated_ends_after_the_picture_it_is_at(folder: Path) -> None:
    class OutdatedError(Exception):
        pass

    seen: list[Path] = []

    def progress(done: int, total: int) -> None:
        raise OutdatedError

    def measure(path: Path) -> Size:
        seen.append(path)
        return measured(path)

    with pytest.raises(OutdatedError):
        survey(Project.open(folder), measure, progress)  # type: ignore[arg-type]
    assert len(seen) == 1


def test_a_check_reads_only_the_captions_that_have_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, measures, read = Project.open(folder), Measures(), CaptionsRead()
    first = survey(project, measures, None, read)
    opened: list[Path] = []
    plain = captions._read

    def counted(path: Path, class_words: str) -> captions.Caption:
        opened.append(path)
        return plain(path, class_words)

    monkeypatch.setattr(captions, "_read", counted)
    again = survey(project, measures, None, read)
    assert opened == []
    assert first.dataset is not None
    assert again.dataset == first.dataset
    changed = first.dataset.pictures[1].caption_path
    assert changed is not None
    changed.write_text("another one\n", encoding="utf-8")
    third = survey(project, measures, None, read).dataset
    assert opened == [changed]
    assert third is not None
    assert third.pictures[1].caption == "another one"


@pytest.mark.parametrize("content", [b"one\n", b"", b"\n", b"one\ntwo\n", "\ufeffö".encode(), b"\xff\xfe", None])
def test_captions_with_a_memory_are_read_as_without(tmp_path: Path, content: bytes | None) -> None:
    picture, read = tmp_path / "a.png", CaptionsRead()
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    for words in ("a man", "", "a man"):
        for _ in range(2):
            assert outcome(read, picture, words) == outcome(read_caption, picture, words)
    (tmp_path / "a.txt").unlink(missing_ok=True)
    assert outcome(read, picture, "a man") == outcome(read_caption, picture, "a man")


def outcome(read: object, picture: Path, words: str) -> object:
    try:
        return read(picture, ".txt", words)  # type: ignore[operator]
    except captions.NotUTF8Error as error:
        return error.path, error.byte


@pytest.mark.parametrize("how_many", [1, 2])
def test_a_caption_that_is_not_utf8_hides_no_picture(folder: Path, how_many: int) -> None:
    texts = sorted(folder.rglob("*.txt"))
    for text in texts[:how_many]:
        text.write_bytes(b"ohwx, caf\xe9")
    found = survey(Project.open(folder), Measures())
    assert found.dataset is not None
    assert len(found.dataset.used_of("train")) == len(texts)
    wrong = [finding for finding in found.blocking if finding.code == "caption-not-utf8"]
    assert len(wrong) == 1
    named = f"{texts[0].parent.name}/{texts[0].name}"
    assert f"{named} is not UTF-8 at byte 9." in wrong[0].message or f"{named} (byte 9)" in wrong[0].message
    assert wrong[0].stops_training(accept_warnings=True)
    assert ("2 pictures have a caption that is not UTF-8" in wrong[0].message) == (how_many == 2)
    assert [f for f in found.findings if f.code == "caption-without-trigger"] == []
