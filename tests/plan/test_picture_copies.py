"""One picture that is brought into a folder: under a name of its own, with its own caption, over nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from engine.plan.errors import UserError
from engine.plan.picture_copies import Brought, bring
from engine.plan.project import Project
from engine.plan.take_over import take_over


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return fill(tmp_path / "source", {"hat.png": b"a hat"})


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_picture_that_is_there_gets_the_caption_that_it_lacks(tmp_path: Path, source: Path) -> None:
    target = fill(tmp_path / "target", {"hat.png": b"a hat"})
    fill(source, {"hat.txt": b"written later"})
    assert bring(source / "hat.png", target) == Brought(added=False, renamed=False, captions=1)
    fill(source, {"hat.txt": b"changed"})
    assert bring(source / "hat.png", target) == Brought(added=False, renamed=False, captions=0)
    assert held(target)["hat.txt"] == b"written later"


def test_a_picture_without_a_caption_does_not_get_that_of_its_namesake(tmp_path: Path, source: Path) -> None:
    target = fill(tmp_path / "target", {"hat.jpg": b"another", "hat.txt": b"another hat"})
    for added in (True, False):
        assert bring(source / "hat.png", target).added is added
    assert set(held(target)) == {"hat.jpg", "hat.txt", "hat-2.png"}


def test_two_pictures_that_share_a_caption_go_on_sharing_it(tmp_path: Path, source: Path) -> None:
    fill(source, {"hat.jpg": b"another", "hat.txt": b"a hat"})
    target = fill(tmp_path / "target", {})
    assert [bring(source / name, target).captions for name in ("hat.jpg", "hat.png")] == [1, 0]
    assert set(held(target)) == {"hat.jpg", "hat.png", "hat.txt"}


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_what_somebody_puts_there_at_the_same_moment_stays(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    target = fill(tmp_path / "target", {})
    call = "symlink" if link else "link"
    original = getattr(os, call)

    def somebody_is_quicker(one: Any, place: Path) -> None:
        if place.name == "hat.png":
            place.write_bytes(b"theirs")
        original(one, place)

    monkeypatch.setattr(os, call, somebody_is_quicker)
    assert bring(source / "hat.png", target, link=link).renamed
    assert held(target) == {"hat.png": b"theirs", "hat-2.png": b"a hat"}


def test_a_disk_without_hard_links_takes_pictures_too(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = fill(tmp_path / "target", {"hat.png": b"another"})

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    bring(source / "hat.png", target)
    assert held(target) == {"hat.png": b"another", "hat-2.png": b"a hat"}


def test_a_disk_that_cannot_hold_links_is_told_in_words(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "symlink", refuse)
    project = Project(fill(tmp_path / "face", {}), "face", "ohwx", "man")
    with pytest.raises(UserError) as caught:
        take_over(project, source, "train", link=True)
    assert caught.value.code == "no-links"
    assert "Copy" in caught.value.hint


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_disk_that_goes_away_is_told_in_words(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def gone(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "chmod", gone)
    project = Project(fill(tmp_path / "face", {}), "face", "ohwx", "man")
    with pytest.raises(UserError) as caught:
        take_over(project, source, "train")
    assert caught.value.code == "not-writable"
    assert os.listdir(project.image_dir / "25_ohwx man") == []


def test_pictures_go_where_they_are_trained(tmp_path: Path, source: Path) -> None:
    project = Project(tmp_path / "face", "face", "ohwx", "man", repeats={"5_b": 0})
    for name in ("0_a", "5_b", "9_c"):
        (project.path / "img" / name).mkdir(parents=True)
    assert take_over(project, source, "train").folder.name == "9_c"


def test_regularisation_pictures_go_where_their_class_is(tmp_path: Path, source: Path) -> None:
    project = Project(tmp_path / "face", "face", "ohwx", "man")
    fill(project.path / "reg" / "1_hat", {"a.png": b"1"})
    assert take_over(project, source, "reg").folder == project.path / "reg" / "1_man"
    (project.path / "reg" / "1_man").rename(project.path / "reg" / "3_man")
    assert take_over(project, source, "reg").folder == project.path / "reg" / "3_man"


@pytest.mark.parametrize("place", [".", "img", "reg/1_man", "raw"])
def test_no_folder_of_the_project_is_a_source(tmp_path: Path, place: str) -> None:
    project = Project(fill(tmp_path / "face", {}), "face", "ohwx", "man")
    fill(project.path / place, {"hat.png": b"a hat"})
    for root in (project.path, tmp_path / "way"):
        if root != project.path:
            root.symlink_to(project.path)
        with pytest.raises(UserError) as caught:
            take_over(project, root / place, "train")
        assert caught.value.code == "own-folder"
    assert not (project.path / "img" / "25_ohwx man").exists()


def test_nor_is_a_folder_that_its_img_leads_to(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere" / "9_b", {"hat.png": b"a hat"})
    fill(tmp_path / "elsewhere" / "5_a", {"sea.png": b"the sea"})
    project = Project(fill(tmp_path / "face", {}), "face", "ohwx", "man")
    (project.path / "img").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError) as caught:
        take_over(project, tmp_path / "elsewhere" / "9_b", "train")
    assert caught.value.code == "own-folder"


@pytest.mark.parametrize("repeats", [0, -1, 10**9])
def test_repeats_that_make_no_folder_are_refused(tmp_path: Path, source: Path, repeats: int) -> None:
    project = Project(fill(tmp_path / "face", {}), "face", "ohwx", "man")
    with pytest.raises(UserError) as caught:
        take_over(project, source, "train", repeats=repeats)
    assert caught.value.code == "bad-value"
