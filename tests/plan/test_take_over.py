"""Pictures that are brought into a project: whole, with their captions, and never over something that is there."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.plan.captions import read_caption
from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.plan.take_over import take_over

Files = dict[str, bytes]


def fill(folder: Path, files: Files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def held(folder: Path) -> Files:
    """Everything in a folder, hidden or not, with its bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def state(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) for path in folder.iterdir()}


def empty(folder: Path, trigger: str = "ohwx", class_name: str = "man") -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    return Project(folder, "face", trigger, class_name)


HOLIDAY: Files = {
    "hat.png": b"a hat" * 9,
    "hat.txt": b"ohwx in a hat\r\nsecond line",
    "sea.JPG": b"the sea" * 9,
    "sea.caption": b"\xef\xbb\xbfohwx at sea",
    "anna_3_10_20_64_64.webp": b"a face" * 9,
    "anna_3.txt": b"ohwx's face",
    "notes.md": b"not a picture",
    "._hat.png": b"what macOS leaves",
}
PICTURES = ("anna_3_10_20_64_64.webp", "hat.png", "sea.JPG")
CAPTIONS = ("anna_3.txt", "hat.txt", "sea.caption")


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    return fill(tmp_path / "holiday", HOLIDAY)


# ------------------------------------------------------------------------------------------------- what is brought
def test_what_is_no_picture_is_named_and_stays(tmp_path: Path, holiday: Path) -> None:
    fill(holiday, {"clip.mp4": b"a video", "more.zip": b"an archive", "notes.md": b"words"})
    taken = take_over(empty(tmp_path / "face"), holiday, "train")
    assert "1 video in holiday is not used: clip.mp4." in str(taken)
    assert "1 archive in holiday is not used: more.zip." in str(taken)
    assert "notes.md" not in str(taken)
    assert not {"clip.mp4", "more.zip"} & held(taken.folder).keys()


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_pictures_come_with_their_captions_and_nothing_else(tmp_path: Path, holiday: Path, link: bool) -> None:
    taken = take_over(empty(tmp_path / "face"), holiday, "train", link=link)
    assert taken.folder == tmp_path / "face" / "img" / "25_ohwx man"
    assert held(taken.folder) == {name: HOLIDAY[name] for name in PICTURES + CAPTIONS}
    assert (taken.added, taken.skipped, taken.renamed, taken.captions) == (3, 0, 0, 3)
    links = {path.name for path in taken.folder.iterdir() if path.is_symlink()}
    assert links == (set(PICTURES) if link else set())  # a caption of one's own can be edited


def test_a_linked_picture_leads_to_the_file_itself(tmp_path: Path, holiday: Path, monkeypatch) -> None:
    (tmp_path / "way").symlink_to(holiday)
    monkeypatch.chdir(tmp_path)
    taken = take_over(empty(tmp_path / "face"), Path("way"), "train", link=True)
    assert os.readlink(taken.folder / "hat.png") == str((holiday / "hat.png").resolve())


def test_a_copy_does_not_depend_on_where_it_came_from(tmp_path: Path, holiday: Path) -> None:
    taken = take_over(empty(tmp_path / "face"), holiday, "train")
    shutil.rmtree(holiday)
    assert held(taken.folder)["hat.png"] == HOLIDAY["hat.png"]


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_the_folder_they_come_from_is_only_read(tmp_path: Path, holiday: Path, link: bool) -> None:
    project = empty(tmp_path / "face")
    fill(project.path / "img" / "9_x", {"hat.png": b"another", "hat.txt": b"other words"})
    before = state(holiday)
    for _ in range(2):
        take_over(project, holiday, "train", link=link)
    assert state(holiday) == before


def test_files_are_readable_by_others_as_new_files_are(tmp_path: Path, holiday: Path) -> None:
    (holiday / "hat.png").chmod(0o400)
    taken = take_over(empty(tmp_path / "face"), holiday, "train")
    assert {path.stat().st_mode & 0o777 for path in taken.folder.iterdir()} == {0o644}


def test_progress_is_told_after_each_picture(tmp_path: Path, holiday: Path) -> None:
    told: list[tuple[int, int]] = []
    take_over(empty(tmp_path / "face"), holiday, "train", progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.fixture
def one_broken(tmp_path: Path) -> Path:
    """Two whole pictures and half of one."""
    source = tmp_path / "found"
    source.mkdir()
    for name in ("a.png", "b.png", "half.png"):
        Image.effect_noise((64, 64), 50).save(source / name)
    whole = (source / "half.png").read_bytes()
    (source / "half.png").write_bytes(whole[: len(whole) // 2])
    return source


def test_a_broken_regularisation_picture_is_named_and_stays(tmp_path: Path, one_broken: Path) -> None:
    project = empty(tmp_path / "face")
    taken = take_over(project, one_broken, "reg")
    assert set(held(taken.folder)) == {"a.png", "b.png"}
    assert str(taken) == "2 pictures taken over. 1 cannot be read and is not taken over: half.png."
    again = take_over(project, one_broken, "reg")
    assert (again.added, again.skipped) == (0, 2)


def test_a_broken_training_picture_comes_along_with_a_word(tmp_path: Path, one_broken: Path) -> None:
    taken = take_over(empty(tmp_path / "face"), one_broken, "train")
    assert set(held(taken.folder)) == {"a.png", "b.png", "half.png"}
    assert str(taken) == "3 pictures taken over. 1 of them cannot be read and is not trained: half.png."


# ------------------------------------------------------------------------------------------------- names that are taken


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_the_same_bytes_are_skipped_and_other_bytes_get_another_name(tmp_path: Path, holiday: Path, link: bool) -> None:
    project = empty(tmp_path / "face")
    there = {"hat.png": b"another", "hat.txt": b"other words", "sea.JPG": HOLIDAY["sea.JPG"], "sea.caption": b"mine"}
    folder = fill(project.path / "img" / "9_x", there)
    taken = take_over(project, holiday, "train", link=link)
    assert taken.folder == folder
    assert (taken.added, taken.skipped, taken.renamed) == (2, 1, 1)
    assert held(folder) == there | {
        "hat-2.png": HOLIDAY["hat.png"],
        "hat-2.txt": HOLIDAY["hat.txt"],
        "anna_3_10_20_64_64.webp": HOLIDAY["anna_3_10_20_64_64.webp"],
        "anna_3.txt": HOLIDAY["anna_3.txt"],
    }


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_taking_over_twice_adds_nothing(tmp_path: Path, holiday: Path, link: bool) -> None:
    project = empty(tmp_path / "face")
    folder = take_over(project, holiday, "train", link=link).folder
    before = held(folder)
    again = take_over(project, holiday, "train", link=link)
    assert (again.added, again.skipped, again.renamed, again.captions) == (0, 3, 0, 0)
    assert held(folder) == before


def test_pictures_that_differ_in_their_last_byte_are_two_pictures(tmp_path: Path) -> None:
    project = empty(tmp_path / "face")
    folder = fill(project.path / "img" / "9_x", {"hat.png": b"x" * 5000 + b"1"})
    source = fill(tmp_path / "holiday", {"hat.png": b"x" * 5000 + b"2"})
    os.utime(folder / "hat.png", (1, 1))
    os.utime(source / "hat.png", (1, 1))  # a glance at size and time would take them for the same
    assert take_over(project, source, "train").renamed == 1


def test_the_number_goes_up_until_a_name_is_free(tmp_path: Path) -> None:
    project = empty(tmp_path / "face")
    folder = fill(project.path / "img" / "9_x", {"hat.png": b"1", "hat-2.png": b"2"})
    (folder / "hat-3.png").mkdir()
    (folder / "hat-4.png").symlink_to("nowhere")
    take_over(project, fill(tmp_path / "holiday", {"hat.png": b"5", "hat.txt": b"five"}), "train")
    assert (folder / "hat-5.png").read_bytes() == b"5"
    assert (folder / "hat-5.txt").read_bytes() == b"five"
    assert not (folder / "nowhere").exists()


def test_a_renamed_face_crop_keeps_its_caption(tmp_path: Path) -> None:
    project = empty(tmp_path / "face")
    folder = fill(project.path / "img" / "9_x", {"a_1_2_3_4.png": b"1", "a.txt": b"one"})
    take_over(project, fill(tmp_path / "holiday", {"a_1_2_3_4.png": b"2", "a.txt": b"two"}), "train")
    (new,) = (path for path in folder.glob("*.png") if path.read_bytes() == b"2")
    assert read_caption(new, ".txt", "").text == "two"
    assert read_caption(folder / "a_1_2_3_4.png", ".txt", "").text == "one"


names = st.sampled_from(
    ["hat.png", "hat-2.png", "hat-3.png", "hat.jpg", "hat.txt", "hat-2.txt", "hat.caption"]  # noqa: RUF005
    + ["a_1_2_3_4.png", "a_1_2_3_4-2.png", "a_1_2_3_4.txt", "a.txt", "notes.md"]
)
files = st.dictionaries(names, st.sampled_from([b"1", b"2", b"3", b""]), max_size=9)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(files, files, st.booleans())
def test_whatever_is_there_nothing_is_overwritten(there: Files, coming: Files, link: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        project = empty(Path(place) / "face")
        folder = fill(project.path / "img" / "9_x", there)
        source = fill(Path(place) / "holiday", coming | {"one.png": b"1"})
        pictures = {path.name for path in source.iterdir() if path.suffix in (".png", ".jpg")}
        before = state(source)
        taken = take_over(project, source, "train", link=link)
        now = held(folder)
        assert {name: now[name] for name in there} == there
        assert state(source) == before
        assert taken.added + taken.skipped == len(pictures)
        new = {name: content for name, content in now.items() if name not in there}
        assert len(new) == taken.added + taken.captions
        assert all(content in before_bytes(before) for content in new.values())
        for name in pictures:
            stem, ending = os.path.splitext(name)
            alike = [name, *(f"{stem}-{number}{ending}" for number in range(2, 9))]
            assert before[name][0] in [now[other] for other in alike if other in now]
        take_over(project, source, "train", link=link)
        assert held(folder) == now


def before_bytes(before: dict[str, tuple[bytes, int, int]]) -> set[bytes]:
    return {content for content, _, _ in before.values()}


def test_no_picture_gets_the_caption_of_another(tmp_path: Path) -> None:
    project = empty(tmp_path / "face")
    folder = fill(project.path / "img" / "9_x", {"hat.jpg": b"1", "hat.txt": b"a red hat"})
    take_over(project, fill(tmp_path / "holiday", {"hat.png": b"2", "hat.txt": b"a blue hat"}), "train")
    assert read_caption(folder / "hat.jpg", ".txt", "").text == "a red hat"
    (new,) = folder.glob("*.png")
    assert read_caption(new, ".txt", "").text == "a blue hat"


# ------------------------------------------------------------------------------------------------- where they go


@pytest.mark.parametrize(
    ("kind", "trigger", "class_name", "repeats", "folder"),
    [
        ("train", "ohwx", "man", 25, "img/25_ohwx man"),
        ("train", "ohwx", "", 7, "img/7_ohwx"),
        ("train", "", "man", 7, "img/7_man"),
        ("reg", "ohwx", "man", 25, "reg/1_man"),
    ],
)
def test_a_new_folder_is_named_after_the_words(
    tmp_path: Path, holiday: Path, kind: Any, trigger: str, class_name: str, repeats: int, folder: str
) -> None:
    project = empty(tmp_path / "face", trigger, class_name)
    Image.new("RGB", (64, 64)).save(holiday / "hat.png")
    taken = take_over(project, holiday, kind, repeats=repeats)
    assert taken.folder == project.path / folder
    assert (taken.folder / "hat.png").is_file()


@pytest.mark.parametrize(("kind", "parent"), [("train", "img"), ("train", "Img"), ("reg", "reg"), ("reg", "Reg")])
def test_the_first_numbered_folder_is_used_where_there_is_one(
    tmp_path: Path, holiday: Path, kind: Any, parent: str
) -> None:
    project = empty(tmp_path / "face", "", "")
    for name in ("5_b", "3_a", "without a number"):
        (project.path / parent / name).mkdir(parents=True)
    assert take_over(project, holiday, kind).folder == project.path / parent / "3_a"
    assert sorted(path.name for path in (project.path / parent).iterdir()) == ["3_a", "5_b", "without a number"]


@pytest.mark.parametrize(
    ("kind", "trigger", "class_name", "code"),
    [
        ("reg", "ohwx", "", "bad-name"),
        ("train", "", "", "bad-name"),
        ("train", "../up", "", "bad-name"),
        ("reg", "ohwx", "a/b", "bad-name"),
    ],
)
def test_words_that_make_no_folder_are_refused(
    tmp_path: Path, holiday: Path, kind: Any, trigger: str, class_name: str, code: str
) -> None:
    project = empty(tmp_path / "face", trigger, class_name)
    with pytest.raises(UserError) as caught:
        take_over(project, holiday, kind)
    assert caught.value.code == code
    assert os.listdir(project.path) == []


def test_the_own_folder_is_refused_by_whatever_way_one_comes_to_it(tmp_path: Path, project: Project) -> None:
    own = project.image_dir / "10_ohwx man"
    (tmp_path / "way").symlink_to(own)
    before = state(own)
    for source in (own, own / ".." / own.name, tmp_path / "way"):
        with pytest.raises(UserError) as caught:
            take_over(project, source, "train")
        assert caught.value.code == "own-folder"
    assert state(own) == before


@pytest.mark.parametrize(
    ("source", "code"), [("nowhere", "no-such-folder"), ("file.png", "not-a-folder"), ("words", "no-pictures")]
)
def test_a_source_without_pictures_is_refused_and_makes_no_folder(tmp_path: Path, source: str, code: str) -> None:
    (tmp_path / "file.png").touch()
    fill(tmp_path / "words", {"hat.txt": b"a hat", "._hat.png": b"hidden"})
    fill(tmp_path / "words" / "deeper", {"hat.png": b"not directly in it"})
    project = empty(tmp_path / "face")
    with pytest.raises(UserError) as caught:
        take_over(project, tmp_path / source, "train")
    assert caught.value.code == code
    assert os.listdir(project.path) == []


# ------------------------------------------------------------------------------------------------- half-way


def broken(folder: Path) -> list[str]:
    """Files that are not a whole file of the holiday."""
    if not folder.is_dir():
        return []
    return [name for name, content in held(folder).items() if HOLIDAY.get(name) != content]


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
@pytest.mark.parametrize("enough", [0, 1, 2, 3])
def test_whoever_stops_it_keeps_whole_pictures_with_their_captions(
    tmp_path: Path, holiday: Path, enough: int, link: bool
) -> None:
    done: list[int] = []
    project = empty(tmp_path / "face")
    taken = take_over(
        project,
        holiday,
        "train",
        link=link,
        progress=lambda count, _: done.append(count),
        cancelled=lambda: len(done) >= enough,
    )
    assert taken.added == enough
    assert set(held(taken.folder)) == set(PICTURES[:enough] + CAPTIONS[:enough])
    assert broken(taken.folder) == []
    assert take_over(project, holiday, "train", link=link).skipped == enough
    assert set(held(taken.folder)) == set(PICTURES + CAPTIONS)


@contextmanager
def disk_with_room_for(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """After so many calls that need room the disk is full, and stays so. Yields the calls that were refused.

    A copy that is refused has written some bytes before.
    """
    refused: list[str] = []
    left = steps

    def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask_first(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left >= 0:
                return call(*arguments, **options)
            refused.append(name)
            if name == "copyfile":
                Path(arguments[1]).write_bytes(Path(arguments[0]).read_bytes()[:4])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return ask_first

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", guarded("copyfile", shutil.copyfile))
        patch.setattr(tempfile, "mkstemp", guarded("mkstemp", tempfile.mkstemp))
        for name in ("mkdir", "replace", "rename", "link", "symlink"):
            patch.setattr(os, name, guarded(name, getattr(os, name)))
        yield refused


STEPS = range(40)  # more than there are, so that the last goes through


def full_at(
    steps: int, folder: Path, holiday: Path, link: bool, monkeypatch: pytest.MonkeyPatch
) -> tuple[Project, bool]:
    """A project into which pictures were taken until the disk was full, and whether it was."""
    project = empty(folder / f"face {steps}")
    with disk_with_room_for(steps, monkeypatch) as refused:
        try:
            take_over(project, holiday, "train", link=link)
        except UserError as error:
            assert error.code == "disk-full"  # noqa: PT017
            assert refused
            return project, True
    assert not refused
    return project, False


@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_a_disk_that_is_full_at_any_step_holds_only_whole_files(
    tmp_path: Path, holiday: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    before, ends = state(holiday), []
    for steps in STEPS:
        project, full = full_at(steps, tmp_path, holiday, link, monkeypatch)
        assert broken(project.path / "img" / "25_ohwx man") == [], steps
        ends.append(full)
    assert sum(ends) > 9  # it was refused at many places
    assert not ends[-1]
    assert state(holiday) == before


def test_after_a_full_disk_the_next_try_brings_what_is_missing(
    tmp_path: Path, holiday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in STEPS:
        project, _ = full_at(steps, tmp_path, holiday, False, monkeypatch)
        folder = take_over(project, holiday, "train").folder
        assert set(held(folder)) == set(PICTURES + CAPTIONS), steps


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_takes_nothing_is_told_in_words(
    tmp_path: Path, holiday: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(UserError) as caught:
        take_over(empty(tmp_path / "face"), holiday, "train")
    assert caught.value.code == "not-writable"


def unreadable(path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening this file fails, as it does on a stick that was pulled out; root may read what others may not."""
    import builtins
    import io

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def ask_first(name: Any, *rest: Any, **options: Any) -> Any:
            if not isinstance(name, int) and os.fspath(name) == str(path):
                raise OSError(number, os.strerror(number), str(path))
            return call(name, *rest, **options)

        return ask_first

    monkeypatch.setattr(builtins, "open", guarded(builtins.open))
    monkeypatch.setattr(io, "open", guarded(io.open))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOENT])
def test_a_picture_that_cannot_be_read_is_named(
    tmp_path: Path, holiday: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    unreadable(holiday / "hat.png", number, monkeypatch)
    with pytest.raises(UserError) as caught:
        take_over(empty(tmp_path / "face"), holiday, "train")
    assert caught.value.code == "not-readable"
    assert str(holiday / "hat.png") in caught.value.message


# ------------------------------------------------------------------------------------------------- many pictures


def calls_for(count: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the file system is asked about files while so many are taken over: new, and again."""
    source = fill(place / "many", {f"{number:05}.png": b"%d" % number for number in range(count)})
    project = empty(place / "face")
    calls = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def count_first(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            return call(*arguments, **options)

        return count_first

    rounds = []
    with monkeypatch.context() as patch:
        for name in ("stat", "lstat", "listdir", "scandir", "open"):
            patch.setattr(os, name, counted(getattr(os, name)))
        for expected in ("added", "skipped"):
            calls = 0
            assert getattr(take_over(project, source, "train"), expected) == count
            rounds.append(calls)
    return rounds


def test_the_work_for_a_picture_does_not_grow_with_their_number(tmp_path: Path, monkeypatch) -> None:
    few, many = calls_for(100, tmp_path / "few", monkeypatch), calls_for(3000, tmp_path / "many", monkeypatch)
    for round, (one, other) in enumerate(zip(few, many, strict=True)):
        assert one > 100, round
        assert other <= 30 * one, round
        assert other < 25 * 3000, round
