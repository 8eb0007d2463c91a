"""Captions that are written: the old one or the new one, whole, and the old one kept."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan.caption_files import read_for_editing, write_caption
from engine.plan.captions import MAX_CAPTION_BYTES, NotUTF8Error, read_caption
from engine.plan.errors import UserError, inert

FOLDER = "img/10_ohwx man"
BACKUPS = ".lora-tui/backups"
KEPT = 20  # former contents of a caption


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A project's picture without a caption; only its name matters."""
    return make_picture(tmp_path / "face")


def make_picture(project: Path, name: str = "hat.png") -> Path:
    (project / FOLDER).mkdir(parents=True, exist_ok=True)
    (project / FOLDER / name).touch()
    return project / FOLDER / name


def of(picture: Path) -> Path:
    return picture.parent.parent.parent


def write(picture: Path, text: str, extension: str = ".txt") -> Path:
    return write_caption(of(picture), picture, text, extension)


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def kept(picture: Path, caption: str = "hat.txt") -> list[bytes]:
    """The backups of a caption, the oldest first."""
    folder = of(picture) / BACKUPS / FOLDER / caption
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def undo(picture: Path) -> list[dict[str, Any]]:
    file = of(picture) / ".lora-tui" / "undo.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()] if file.exists() else []


# ------------------------------------------------------------------------------ what says the same is not touched

pieces = st.sampled_from(
    ["ohwx man", "a hat", " ", "\t", "\n", "\r\n", "\r", "\ufeff", "\u2028", "\x0c", "\x1c", "é", ""]
)
contents = st.one_of(
    st.binary(max_size=60),
    st.lists(pieces, max_size=8).map(lambda parts: "".join(parts).encode()),
    st.text(max_size=40).map(str.encode),
    st.text(max_size=20).map(lambda text: text.encode("utf-16")),
)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(contents)
def test_a_caption_that_was_looked_at_has_not_changed_by_a_byte(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        picture = make_picture(Path(place))
        picture.with_suffix(".txt").write_bytes(content)
        before = everything(Path(place))
        try:
            text = read_for_editing(picture, ".txt")
        except NotUTF8Error:
            with pytest.raises(NotUTF8Error):
                write(picture, "new words")
        else:
            write(picture, text)
        assert everything(Path(place)) == before


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbfohwx\n", b"ohwx\r\n", b"ohwx\nsecond\nthird", b"\nsecond", b" ohwx \t", b"ohwx", b"", b"\n\n"],
)
def test_the_odd_ones_among_them(picture: Path, content: bytes) -> None:
    picture.with_suffix(".txt").write_bytes(content)
    assert read_for_editing(picture, ".txt") in ("ohwx", "")
    stamp = picture.with_suffix(".txt").stat()
    assert write(picture, read_for_editing(picture, ".txt")) == picture.with_suffix(".txt")
    now = picture.with_suffix(".txt").stat()
    assert picture.with_suffix(".txt").read_bytes() == content
    assert (now.st_ino, now.st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)
    assert not (of(picture) / ".lora-tui").exists()


# --------------------------------------------------------------------------------------- what is written is read


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.text(max_size=80), st.none() | st.sampled_from([b"", b"old", b"\xef\xbb\xbfold\r\nmore", b"\nold"]))
def test_what_was_written_is_read(text: str, before: bytes | None) -> None:
    expected = re.sub("[\r\n]", " ", text).strip()
    if expected.startswith("\ufeff"):
        return  # the mark of a file's encoding; see the test below
    with tempfile.TemporaryDirectory() as place:
        picture = make_picture(Path(place))
        if before is not None:
            picture.with_suffix(".txt").write_bytes(before)
        path = write(picture, text)
        assert path == picture.with_suffix(".txt")
        assert read_for_editing(picture, ".txt") == expected
        assert read_caption(picture, ".txt", "").problem is None or not expected  # one line, so nothing is odd about it
        assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("ending", ["\n", "\r"])
def test_a_line_end_becomes_a_space(picture: Path, ending: str) -> None:
    path = write(picture, f"ohwx man{ending}in a hat{ending}")
    assert path.read_bytes() == b"ohwx man in a hat\n"


def test_a_file_that_had_several_lines_has_one(picture: Path) -> None:
    picture.with_suffix(".txt").write_bytes(b"\xef\xbb\xbfold\r\nsecond\r\n")
    assert write(picture, "new").read_bytes() == b"new\n"


def test_a_pasted_byte_order_mark_is_no_part_of_the_caption(picture: Path) -> None:
    path = write(picture, "\ufeffohwx man")
    write(picture, "\ufeffohwx man")
    assert path.read_bytes() == b"ohwx man\n"
    assert len(undo(picture)) == 1


def test_the_caption_is_written_where_it_is_read(tmp_path: Path) -> None:
    crop = make_picture(tmp_path / "face", "anna_3_10_20_64_64.png")
    assert write(crop, "own", ".caption").name == "anna_3_10_20_64_64.caption"
    shared = crop.with_name("anna_3.txt")
    shared.write_bytes(b"of the whole picture")
    assert write(crop, "new", ".txt") == shared
    assert read_for_editing(crop, ".txt") == "new"
    crop.with_name("anna_3_10_20_64_64.txt").write_bytes(b"of this crop")
    assert write(crop, "newer", ".txt").name == "anna_3_10_20_64_64.txt"
    assert shared.read_bytes() == b"new\n"


def test_permissions_stay(picture: Path) -> None:
    picture.with_suffix(".txt").write_bytes(b"old")
    picture.with_suffix(".txt").chmod(0o640)
    assert write(picture, "new").stat().st_mode & 0o777 == 0o640


def test_a_picture_with_a_long_name_can_have_a_caption(tmp_path: Path) -> None:
    picture = make_picture(tmp_path / "face", "写" * 80 + ".png")
    picture.with_suffix(".txt").write_bytes(b"old")  # the system takes the name
    write(picture, "new")
    assert read_for_editing(picture, ".txt") == "new"


# --------------------------------------------------------------------------------------- backups


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.binary(max_size=60))
def test_a_backup_has_the_former_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        picture = make_picture(Path(place))
        picture.with_suffix(".txt").write_bytes(content)
        try:
            write(picture, "words that are in no file of a few bytes, and of no test either")
        except NotUTF8Error:
            assert kept(picture) == []
        else:
            assert kept(picture) == [content]


def test_the_same_content_is_kept_once(picture: Path) -> None:
    for text in ("one", "two", "one", "two", "one"):
        write(picture, text)
    assert sorted(kept(picture)) == [b"one\n", b"two\n"]


def test_the_first_caption_of_a_picture_needs_no_backup(picture: Path) -> None:
    write(picture, "first")
    assert kept(picture) == []
    assert [(line["before"], line["after"]) for line in undo(picture)] == [(None, "first")]


def test_the_first_and_the_newest_are_kept_and_no_more(picture: Path) -> None:
    for number in range(KEPT + 6):
        write(picture, f"version {number}")
        assert len(kept(picture)) == min(number, KEPT)
    last = KEPT + 5
    assert kept(picture) == [f"version {n}\n".encode() for n in (0, *range(last - KEPT + 1, last))]


def test_captions_of_two_pictures_do_not_share_their_backups(tmp_path: Path) -> None:
    one, other = make_picture(tmp_path / "face"), make_picture(tmp_path / "face", "sea.png")
    for number in range(KEPT + 1):
        write(one, f"{number}")
    for text in ("old", "new"):
        write(other, text)
    assert len(kept(one)) == KEPT
    assert kept(other, "sea.txt") == [b"old\n"]


def test_what_was_replaced_just_now_is_kept_longest(picture: Path) -> None:
    for number in range(KEPT + 1):
        write(picture, f"version {number}")
    for text in ("version 1", "new", "newer"):  # back to an old one, and on
        write(picture, text)
    assert b"version 1\n" in kept(picture)  # the last but one


# --------------------------------------------------------------------------------------- the list of changes


@settings(deadline=None, max_examples=80, derandomize=True)
@given(st.lists(st.text(max_size=30) | st.sampled_from(["\x1b[2J", "\x9b31m", "\u202e", "\u2028", "\x85"]), max_size=4))
def test_each_change_is_one_line_that_no_terminal_obeys(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        picture = make_picture(Path(place), "h\x1b[2J.png")
        changes, there = [], None
        for text in texts:
            line = re.sub("[\r\n]", " ", text).strip()
            if line.startswith("\ufeff"):
                continue
            write(picture, text)
            if line != there:
                changes.append((there, line))
            there = line
        assert [(line["before"], line["after"]) for line in undo(picture)] == changes
        assert {line["path"] for line in undo(picture)} <= {f"{FOLDER}/h\x1b[2J.txt"}
        if changes:
            data = (Path(place) / ".lora-tui" / "undo.jsonl").read_bytes()
            assert data.endswith(b"}\n")
            # DEL is the one control character that JSON leaves as it is; terminals pass over it.
            assert all(0x20 <= byte < 0x80 for byte in data.replace(b"\n", b""))


def test_undo_lines_of_hostile_names_are_inert(tmp_path: Path) -> None:
    picture = make_picture(tmp_path / "face", os.fsdecode(b"\xff\x1b]0;x\x07\xe2\x80\xae.png"))
    write(picture, "one")
    (line,) = (tmp_path / "face" / ".lora-tui" / "undo.jsonl").read_text(encoding="ascii").splitlines()
    assert inert(line) == line
    assert json.loads(line)["path"] == f"{FOLDER}/{picture.with_suffix('.txt').name}"


def test_a_list_of_changes_that_is_a_link_is_not_written_through(picture: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"somebody's")
    (of(picture) / ".lora-tui").mkdir()
    (of(picture) / ".lora-tui" / "undo.jsonl").symlink_to(mine)
    try:
        write(picture, "new")
    except UserError as error:
        assert error.code == "is-a-link"  # noqa: PT017
    assert mine.read_bytes() == b"somebody's"


# --------------------------------------------------------------------------------------- links


def test_a_linked_caption_becomes_a_file_of_its_own(picture: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.txt"
    theirs.write_bytes(b"their words\r\nmore")
    picture.with_suffix(".txt").symlink_to(theirs)
    write(picture, "their words")
    assert picture.with_suffix(".txt").is_symlink()  # nothing has changed, so it stays a link
    stamp = theirs.stat().st_mtime_ns
    path = write(picture, "my words")
    assert not path.is_symlink()
    assert path.read_bytes() == b"my words\n"
    assert (theirs.read_bytes(), theirs.stat().st_mtime_ns) == (b"their words\r\nmore", stamp)
    assert kept(picture) == [b"their words\r\nmore"]


def test_a_hard_link_elsewhere_keeps_its_words(picture: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.txt"
    theirs.write_bytes(b"their words")
    os.link(theirs, picture.with_suffix(".txt"))
    write(picture, "my words")
    assert theirs.read_bytes() == b"their words"


def test_a_link_that_leads_nowhere_does_not_make_a_file_there(picture: Path, tmp_path: Path) -> None:
    picture.with_suffix(".txt").symlink_to(tmp_path / "nowhere.txt")
    assert write(picture, "my words").read_bytes() == b"my words\n"
    assert not (tmp_path / "nowhere.txt").exists()


# --------------------------------------------------------------------------------------- what must not be overwritten


@pytest.mark.parametrize("content", [b"caf\xe9", b"\xff\xfeo\0h\0", b"ohwx\n\xe9", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_utf_8_is_never_overwritten(picture: Path, content: bytes) -> None:
    picture.with_suffix(".txt").write_bytes(content)
    before = everything(of(picture))
    for text in ("new", ""):
        with pytest.raises(NotUTF8Error):
            write(picture, text)
    assert everything(of(picture)) == before


def test_nor_is_a_large_file_that_is_no_text(picture: Path) -> None:
    content = b"\xff" * (MAX_CAPTION_BYTES + 1)
    picture.with_suffix(".txt").write_bytes(content)
    with pytest.raises((NotUTF8Error, UserError)):
        write(picture, "new")
    assert picture.with_suffix(".txt").read_bytes() == content


Refuses = Callable[[str], bool]


@contextmanager
def refusing(
    number: int, after: int, monkeypatch: pytest.MonkeyPatch, where: Refuses = lambda _: True
) -> Iterator[list]:
    """After so many writing calls at paths where `where(path)` every one fails. Yields the calls that were refused."""
    refused: list[str] = []
    left = after

    def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask_first(path: Any, *rest: Any, **options: Any) -> Any:
            nonlocal left
            place = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.fspath(path)
            writes = name != "open" or bool(rest and rest[0] & (os.O_WRONLY | os.O_RDWR))
            if writes and where(place):
                left -= 1
                if left < 0:
                    refused.append(name)
                    raise OSError(number, os.strerror(number), place)
            return call(path, *rest, **options)

        return ask_first

    with monkeypatch.context() as patch:
        for name in ("open", "write", "mkdir", "replace", "rename"):
            patch.setattr(os, name, guarded(name, getattr(os, name)))
        if number == errno.EROFS:  # a full disk still deletes
            patch.setattr(os, "unlink", guarded("unlink", os.unlink))
        yield refused


def outcomes(
    make: Callable[[Path], Path], place: Path, number: int, monkeypatch: pytest.MonkeyPatch, where: Refuses
) -> Iterator[tuple[Path, UserError | None]]:
    """A picture, and what was said as its caption was written: with a disk that fails at each call in turn."""
    for after in range(30):
        picture = make(place / f"face {after}")
        with refusing(number, after, monkeypatch, where) as refused:
            try:
                write(picture, "new")
            except UserError as error:
                assert refused
                yield picture, error
                continue
        yield picture, None
        if not refused:
            return
    raise AssertionError("it never went through")


def captioned(project: Path) -> Path:
    picture = make_picture(project)
    picture.with_suffix(".txt").write_bytes(b"old\r\nmore")
    return picture


def linked(project: Path) -> Path:
    picture = make_picture(project)
    (project / "theirs.txt").write_bytes(b"old\r\nmore")
    picture.with_suffix(".txt").symlink_to(project / "theirs.txt")
    return picture


def either_way(
    make: Callable[[Path], Path], place: Path, number: int, monkeypatch: pytest.MonkeyPatch, where: Refuses
) -> int:
    """How often it failed; then the caption is as it was, else it is the new one, and there is nothing between."""
    failed = 0
    for picture, error in outcomes(make, place, number, monkeypatch, where):
        path = picture.with_suffix(".txt")
        if error is not None:
            failed += 1
            assert error.code == ("not-writable" if number == errno.EROFS else "disk-full")
            assert path.is_file()
            assert path.read_bytes() == b"old\r\nmore"
        else:
            assert path.read_bytes() == b"new\n"
            assert b"old\r\nmore" in kept(picture)
        if number != errno.EROFS:
            assert [name for name in everything(of(picture)) if name.endswith(".tmp")] == []
    return failed


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS], ids=errno.errorcode.get)
def test_a_disk_that_refuses_at_any_step_leaves_the_old_caption_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    # Not the list of changes: that is the next test.
    where = lambda path: not path.endswith("undo.jsonl")  # noqa: E731
    assert either_way(captioned, tmp_path, number, monkeypatch, where) >= 4


def test_a_list_of_changes_that_cannot_be_written_does_not_deny_the_caption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    either_way(captioned, tmp_path, errno.ENOSPC, monkeypatch, lambda path: path.endswith("undo.jsonl"))


def test_a_linked_caption_outlives_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = lambda path: not path.endswith("undo.jsonl")  # noqa: E731
    assert either_way(linked, tmp_path, errno.ENOSPC, monkeypatch, where) >= 4


@pytest.mark.parametrize("odd", ["own folder is a file", "undo.jsonl is a folder"])
def test_what_stands_in_the_way_of_the_list_of_changes_is_told_in_words(picture: Path, odd: str) -> None:
    own = of(picture) / ".lora-tui"
    if odd == "own folder is a file":
        own.touch()
    else:
        (own / "undo.jsonl").mkdir(parents=True)
    try:
        write(picture, "new")
    except UserError:
        assert not picture.with_suffix(".txt").exists()
    else:
        assert picture.with_suffix(".txt").read_bytes() == b"new\n"


def test_a_caption_that_may_not_be_read_is_not_replaced(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal is made here."""
    import builtins
    import io

    path = picture.with_suffix(".txt")
    path.write_bytes(b"old")

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def ask_first(name: Any, *rest: Any, **options: Any) -> Any:
            if not isinstance(name, int) and os.fspath(name) == str(path):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(name, *rest, **options)

        return ask_first

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", guarded(builtins.open))
        patch.setattr(io, "open", guarded(io.open))
        with pytest.raises(UserError) as caught:
            write(picture, "new")
    assert caught.value.code == "not-readable"
    assert path.read_bytes() == b"old"


def test_a_line_that_was_cut_by_a_full_disk_does_not_spoil_the_next(picture: Path) -> None:
    write(picture, "one")
    file = of(picture) / ".lora-tui" / "undo.jsonl"
    file.write_bytes(file.read_bytes()[:20])
    write(picture, "two")
    assert json.loads(file.read_bytes().splitlines()[-1])["after"] == "two"
