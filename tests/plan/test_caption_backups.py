"""Where captions are written to, and what of a project's own folder strangers cannot turn against its user."""

from __future__ import annotations

import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan.caption_files import KEPT_CONTENTS, read_for_editing, write_caption
from engine.plan.captions import MAX_CAPTION_BYTES, NotUTF8Error
from engine.plan.errors import UserError

PLACE = "img/10_ohwx man"


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """A project's folder with one picture, of which only the name matters."""
    (tmp_path / "face" / PLACE).mkdir(parents=True)
    (tmp_path / "face" / PLACE / "hat.png").touch()
    return tmp_path / "face"


def hat(face: Path) -> Path:
    return face / PLACE / "hat.png"


def write(face: Path, text: str) -> Path:
    return write_caption(face, hat(face), text, ".txt")


def backups(face: Path) -> Path:
    return face / ".lora-tui" / "backups" / PLACE / "hat.txt"


def undo(face: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (face / ".lora-tui" / "undo.jsonl").read_bytes().splitlines()]


def test_a_link_to_another_caption_of_the_project_is_written_through(face: Path) -> None:
    shared = face / "words" / "shared.txt"
    shared.parent.mkdir()
    shared.write_bytes(b"old")
    hat(face).with_suffix(".txt").symlink_to(shared)
    assert write(face, "new").is_symlink()
    assert shared.read_bytes() == b"new\n"
    assert [path.read_bytes() for path in backups(face).iterdir()] == [b"old"]


@pytest.mark.parametrize("target", ["project.toml", ".lora-tui/ui.log"])
def test_a_link_to_what_is_no_caption_is_never_written_through(face: Path, target: str) -> None:
    (face / target).parent.mkdir(exist_ok=True)
    (face / target).write_bytes(b"[project]\n")
    hat(face).with_suffix(".txt").symlink_to(face / target)
    assert not write(face, "new").is_symlink()
    assert (face / target).read_bytes() == b"[project]\n"


def test_a_caption_that_is_a_ring_of_links_becomes_a_file(face: Path) -> None:
    hat(face).with_suffix(".txt").symlink_to("hat.txt")
    assert write(face, "new").read_bytes() == b"new\n"


def test_a_list_of_changes_that_is_a_link_is_told_before_anything_has_changed(face: Path) -> None:
    (face / ".lora-tui").mkdir()
    (face / ".lora-tui" / "undo.jsonl").symlink_to(face / "nowhere")
    with pytest.raises(UserError) as caught:
        write(face, "new")
    assert caught.value.code == "is-a-link"
    assert not hat(face).with_suffix(".txt").exists()
    assert not (face / "nowhere").exists()


def test_files_of_others_among_the_backups_stay(face: Path) -> None:
    backups(face).mkdir(parents=True)
    (backups(face) / "0 mine.txt").write_bytes(b"mine")
    for number in range(KEPT_CONTENTS + 5):
        write(face, f"version {number}")
    assert (backups(face) / "0 mine.txt").read_bytes() == b"mine"
    assert len(list(backups(face).iterdir())) == KEPT_CONTENTS + 1


def test_backups_stay_in_order_where_the_clock_is_set_back(face: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, nanoseconds in enumerate((5 * 10**18, 3 * 10**18, 10**18, 4 * 10**18)):
        monkeypatch.setattr(time, "time_ns", lambda now=nanoseconds: now)
        write(face, f"version {number}")
    assert [path.read_bytes() for path in sorted(backups(face).iterdir())] == [
        b"version 0\n", b"version 1\n", b"version 2\n",
    ]  # fmt: skip


def test_a_folder_where_the_caption_should_be_is_told_in_words(face: Path) -> None:
    hat(face).with_suffix(".txt").mkdir()
    with pytest.raises(UserError) as caught:
        write(face, "new")
    assert caught.value.code == "not-writable"


def test_a_file_that_is_no_caption_is_not_written_over(face: Path) -> None:
    content = b"x" * (MAX_CAPTION_BYTES + 1)
    hat(face).with_suffix(".txt").write_bytes(content)
    for text, code in (("new", "caption-too-long"), ("y" * (MAX_CAPTION_BYTES + 1), "caption-too-long")):
        with pytest.raises(UserError) as caught:
            write(face, text)
        assert caught.value.code == code
    assert hat(face).with_suffix(".txt").read_bytes() == content


def test_a_caption_that_is_not_utf8_is_an_error_in_words(face: Path) -> None:
    hat(face).with_suffix(".txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError) as caught:
        write(face, "new")
    error = caught.value
    assert isinstance(error, NotUTF8Error)
    assert error.code == "caption-not-utf8"
    assert "hat.txt is not UTF-8 at byte 3." in error.message
    again = pickle.loads(pickle.dumps(error))
    assert (again.byte, again.message, again.hint) == (3, error.message, error.hint)


@pytest.mark.parametrize("way", ["resolved", "link", "dots"])
def test_paths_in_the_list_are_relative_however_the_project_was_given(face: Path, way: str) -> None:
    link = face.parent / "way"
    link.symlink_to(face)
    given = {"resolved": face, "link": link, "dots": face / "img" / ".."}[way]
    for text in ("one", "two"):
        write_caption(given, hat(face), text, ".txt")
    assert [change["path"] for change in undo(face)] == [f"{PLACE}/hat.txt"] * 2
    assert backups(face).is_dir()


def test_a_backup_never_leaves_the_project(face: Path) -> None:
    other = face.parent / "other" / "sea.png"
    other.parent.mkdir()
    other.with_suffix(".txt").write_bytes(b"old")
    write_caption(face, face / ".." / "other" / "sea.png", "new", ".txt")
    (kept,) = (face / ".lora-tui").rglob("*.bak")
    assert kept.read_bytes() == b"old"
    assert sorted(path.name for path in face.parent.iterdir()) == ["face", "other"]


def test_a_line_end_of_windows_is_one_space(face: Path) -> None:
    assert write(face, "ohwx man,\r\n  in a hat\r\n").read_bytes() == b"ohwx man, in a hat\n"


def test_emptying_a_caption_writes_an_empty_line_and_keeps_the_words(face: Path) -> None:
    hat(face).with_suffix(".txt").write_bytes(b"old")
    assert write(face, "  ").read_bytes() == b"\n"
    assert (undo(face)[0]["before"], undo(face)[0]["after"]) == ("old", "")


@settings(deadline=None, max_examples=80)
@given(st.text(alphabet=st.characters(), max_size=30) | st.sampled_from(["\ud800", "\ud83d\ude42", "\ufeff \ufeffx"]))
def test_any_text_can_be_written_and_is_then_unchanged(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    face = tmp_path_factory.mktemp("face")
    (face / PLACE).mkdir(parents=True)
    path = write(face, text)
    stamp = path.stat()
    for again in (text, read_for_editing(hat(face), ".txt")):
        write(face, again)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)
    assert path.read_bytes().count(b"\n") == 1
    assert os.listdir(path.parent) == ["hat.txt"]
