"""Undo and redo of captions: every byte comes back, whatever was done, by whom, and whatever stopped it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan import caption_edits, caption_history, caption_log
from engine.plan.caption_edits import Change, Operation
from engine.plan.caption_files import digest_of, read_for_editing, remove_caption, write_caption
from engine.plan.caption_history import History, Outcome
from engine.plan.captions import MAX_CAPTION_BYTES, NotUTF8Error
from engine.plan.errors import UserError, inert
from engine.plan.find_replace import replaced

FOLDER = "img/10_ohwx man"
ROOT = Path(__file__).parents[2]


def make(project: Path, contents: Sequence[bytes | None]) -> list[Path]:
    """Pictures with these caption files."""
    (project / FOLDER).mkdir(parents=True, exist_ok=True)
    pictures = [project / FOLDER / f"{chr(ord('a') + n)}.png" for n in range(len(contents))]
    for picture, content in zip(pictures, contents, strict=True):
        picture.touch()
        if content is not None:
            picture.with_suffix(".txt").write_bytes(content)
    return pictures


def captions(pictures: Sequence[Path]) -> dict[Path, str | None]:
    """What an editor knows of them; those that are not UTF-8 it cannot show."""
    known: dict[Path, str | None] = {}
    for picture in pictures:
        try:
            known[picture] = read_for_editing(picture, ".txt") if picture.with_suffix(".txt").exists() else None
        except NotUTF8Error:
            continue
    return known


def contents(pictures: Sequence[Path]) -> list[bytes | None]:
    files = [picture.with_suffix(".txt") for picture in pictures]
    return [file.read_bytes() if file.exists() else None for file in files]


def backups(project: Path) -> set[bytes]:
    return {file.read_bytes() for file in (project / ".lora-tui" / "backups").rglob("*.bak")}


def change(history: History, pictures: Sequence[Path], operation: Operation, label: str = "a change") -> Outcome:
    return history.apply(label, caption_edits.changes(captions(pictures), operation))


OLD = [b"\xef\xbb\xbfa man\r\nsecond line\r\n", b"a man", None, b"", b"\nblank first", b"caf\xe9"]


# --------------------------------------------------------------------------------------------------- undo and redo
def test_all_bytes_come_back_and_go_again_also_after_a_new_start(tmp_path: Path) -> None:
    pictures = make(tmp_path, OLD)
    outcome = change(History(tmp_path, ".txt"), pictures, caption_edits.prefixed("ohwx, "), "put ohwx in front")
    new = contents(pictures)
    assert new == [b"ohwx, a man\n", b"ohwx, a man\n", b"ohwx\n", b"ohwx\n", b"ohwx\n", b"caf\xe9"]
    assert outcome.pictures == tuple(pictures[:5])

    undone = History(tmp_path, ".txt").undo()
    assert undone is not None
    assert undone.sentence == "Undone: put ohwx in front (5 captions)."
    assert undone.pictures == tuple(pictures[:5])
    assert contents(pictures) == OLD

    again = History(tmp_path, ".txt")
    assert (again.undo_label, again.redo_label) == ("", "put ohwx in front")
    assert again.redo() is not None
    assert contents(pictures) == new
    assert again.redo() is None


def test_something_new_ends_what_could_be_redone(tmp_path: Path) -> None:
    pictures, history = make(tmp_path, [b"a"]), History(tmp_path, ".txt")
    change(history, pictures, lambda text: "b", "one")
    history.undo()
    change(history, pictures, lambda text: "c", "two")
    assert (history.undo_label, history.redo_label) == ("two", "")
    history.undo()
    assert contents(pictures) == [b"a"]
    assert history.undo() is None


words = st.sampled_from(["ohwx", "man", "hat", "red hat", "ohwx, ", "\x1b[2J", "[red]x[/]", "\n", "é", "T-shirt", ","])
operations: st.SearchStrategy[Operation] = st.one_of(
    words.map(caption_edits.prefixed),
    words.map(caption_edits.suffixed),
    words.map(caption_edits.without_tag),
    st.tuples(words, words).map(lambda both: replaced(*both)),
    st.tuples(words, words).map(lambda both: caption_edits.renamed_tags([both[0]], both[1])),
    st.builds(caption_edits.sorted_tags),
    st.builds(caption_edits.without_repeated_tags),
    st.builds(caption_edits.trimmed),
    st.text(max_size=20).map(lambda text: lambda _: text),
)
contents_of_files = st.none() | st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(["ohwx", " man", ", ", "hat", "\n", "\r\n", "\ufeff", "é"]), max_size=8).map(
        lambda parts: "".join(parts).encode()
    ),
)
actions = st.lists(st.one_of(operations, st.sampled_from(["undo", "redo", "start", "alone"])), max_size=10)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(contents_of_files, min_size=3, max_size=3), actions)
def test_whatever_was_done_undoing_all_of_it_brings_back_every_byte(
    old: list[bytes | None], actions: list[Operation | str]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        project = Path(place)
        pictures, history = make(project, old), History(project, ".txt")
        for action in actions:
            if action == "undo":
                history.undo()
            elif action == "redo":
                history.redo()
            elif action == "start":
                history = History(project, ".txt")
            elif action == "alone":
                try:
                    write_caption(project, pictures[0], "by itself", ".txt")
                except NotUTF8Error:
                    continue
            elif callable(action):
                assert change(history, pictures, action).conflicts == ()
        done = [contents(pictures)]
        while (outcome := history.undo()) is not None:
            assert outcome.conflicts == ()
            done.append(contents(pictures))
        assert contents(pictures) == old
        for expected in reversed(done[:-1]):
            assert history.redo() is not None
            assert contents(pictures) == expected


def test_a_caption_that_is_saved_while_it_is_typed_is_undone_at_once(tmp_path: Path) -> None:
    (picture,) = pictures = make(tmp_path, [b"a\r\n"])
    history = History(tmp_path, ".txt")
    for before, after in (("a", "a m"), ("a m", "a ma"), ("a ma", "a man")):
        history.apply("the caption of a.png", [Change(picture, before, after)], join=True)
    assert contents(pictures) == [b"a man\n"]
    history = History(tmp_path, ".txt")
    history.undo()
    assert contents(pictures) == [b"a\r\n"]
    history.redo()
    assert contents(pictures) == [b"a man\n"]


def test_typing_that_ends_where_it_began_leaves_nothing_to_undo(tmp_path: Path) -> None:
    (picture,) = make(tmp_path, [b"a\n"])
    for history in (History(tmp_path, ".txt"),):
        history.apply("typed", [Change(picture, "a", "ab")], join=True)
        history.apply("typed", [Change(picture, "ab", "a")], join=True)
        assert history.undo_label == ""
    assert History(tmp_path, ".txt").undo_label == ""


def test_pictures_that_share_a_caption_file_are_changed_once(tmp_path: Path) -> None:
    pictures = make(tmp_path, [b"a man", None])
    pictures[1].with_suffix(".txt").symlink_to(pictures[0].with_suffix(".txt"))
    history = History(tmp_path, ".txt")
    assert change(history, pictures, caption_edits.prefixed("ohwx")).conflicts == ()
    assert contents(pictures) == [b"ohwx a man\n"] * 2
    history.undo()
    assert contents(pictures) == [b"a man"] * 2


# ------------------------------------------------------------------------------------------- lists of older versions
def test_captions_written_by_themselves_are_undone_one_by_one(tmp_path: Path) -> None:
    (picture,) = pictures = make(tmp_path, [b"old\r\nmore"])
    write_caption(tmp_path, picture, "one", ".txt")
    remove_caption(tmp_path, picture, ".txt")
    history = History(tmp_path, ".txt")
    outcome = history.undo()
    assert outcome is not None
    assert (outcome.pictures, contents(pictures)) == ((picture,), [b"one\n"])
    history.undo()
    assert contents(pictures) == [b"old\r\nmore"]
    history.redo()
    history.redo()
    assert contents(pictures) == [None]


@pytest.mark.parametrize(("old", "lost"), [(b"old\r\nmore", False), (None, False), (b"old\r\nmore", True)])
def test_lines_of_the_first_version_had_texts_only(tmp_path: Path, old: bytes | None, lost: bool) -> None:
    (picture,) = pictures = make(tmp_path, [old])
    write_caption(tmp_path, picture, "new", ".txt")
    file = caption_log.file_of(tmp_path)
    record = json.loads(file.read_bytes())
    file.write_text(json.dumps({name: record[name] for name in ("v", "time", "path", "before", "after")}) + "\n")
    if lost:
        for backup in (tmp_path / ".lora-tui" / "backups").rglob("*.bak"):
            backup.unlink()
    history = History(tmp_path, ".txt")
    assert history.undo() is not None
    assert contents(pictures) == [b"old\n" if lost else old]
    assert history.redo() is not None
    assert contents(pictures) == [b"new\n"]


# ------------------------------------------------------------------------------------------------- other programs
def test_a_caption_that_another_program_changed_is_not_written_over(tmp_path: Path) -> None:
    pictures = make(tmp_path, [b"a", b"b"])
    known, history = captions(pictures), History(tmp_path, ".txt")
    pictures[0].with_suffix(".txt").write_bytes(b"theirs\r\n")
    outcome = history.apply("mine", caption_edits.changes(known, caption_edits.prefixed("ohwx")))
    assert contents(pictures) == [b"theirs\r\n", b"ohwx b\n"]
    assert outcome.pictures == (pictures[1],)
    (conflict,) = outcome.conflicts
    assert (conflict.picture, conflict.wanted) == (pictures[0], b"ohwx a\n")
    assert {b"theirs\r\n", b"ohwx a\n"} <= backups(tmp_path)
    assert outcome.sentence == (
        "Done: mine. a.txt was changed by another program; it stays as it is, and both texts are kept."
    )
    notes = [json.loads(line) for line in caption_log.file_of(tmp_path).read_bytes().splitlines()]
    (note,) = [note for note in notes if "conflict" in note]
    assert note["conflict"] == f"{FOLDER}/a.txt"
    assert (note["theirs"], note["wanted"]) == (digest_of(b"theirs\r\n"), digest_of(b"ohwx a\n"))

    assert history.force("mine after all", outcome.conflicts).pictures == (pictures[0],)
    assert contents(pictures) == [b"ohwx a\n", b"ohwx b\n"]
    history.undo()
    assert contents(pictures) == [b"theirs\r\n", b"ohwx b\n"]
    history.undo()
    assert contents(pictures) == [b"theirs\r\n", b"b"]


def test_several_conflicts_are_one_sentence(tmp_path: Path) -> None:
    pictures = make(tmp_path, [b"a", b"caf\xe9", None])
    pictures[2].with_suffix(".txt").write_bytes(b"x" * (MAX_CAPTION_BYTES + 1))
    outcome = History(tmp_path, ".txt").apply("mine", [Change(picture, "b", "c") for picture in pictures])
    assert outcome.sentence == (
        "a.txt, b.txt, c.txt stay as they are, since each was changed by another program or is not UTF-8 or cannot be "
        "read (caption-too-long); all texts are kept."
    )


def test_a_change_behind_the_first_line_is_seen_by_the_bytes(tmp_path: Path) -> None:
    (picture,) = pictures = make(tmp_path, [b"a"])
    seen = digest_of(b"a")
    picture.with_suffix(".txt").write_bytes(b"a\ntheirs")
    history = History(tmp_path, ".txt")
    assert history.apply("mine", [Change(picture, "a", "b", seen)]).conflicts
    assert contents(pictures) == [b"a\ntheirs"]
    assert history.undo() is None


def test_undo_and_redo_leave_alone_what_was_changed_since(tmp_path: Path) -> None:
    pictures, history = make(tmp_path, [b"a", b"b"]), History(tmp_path, ".txt")
    change(history, pictures, caption_edits.prefixed("ohwx"), "mine")
    pictures[0].with_suffix(".txt").write_bytes(b"theirs")
    outcome = history.undo()
    assert outcome is not None
    assert contents(pictures) == [b"theirs", b"b"]
    assert [one.picture for one in outcome.conflicts] == [pictures[0]]
    assert {b"theirs", b"a"} <= backups(tmp_path)
    history.force("mine", outcome.conflicts)
    assert contents(pictures) == [b"a", b"b"]
    assert (history.undo_label, history.redo_label) == ("mine", "")


def test_a_caption_that_is_not_utf8_stays_unless_it_is_known_to_the_byte(tmp_path: Path) -> None:
    (picture,) = pictures = make(tmp_path, [b"caf\xe9"])
    history = History(tmp_path, ".txt")
    outcome = history.apply("mine", [Change(picture, None, "cafe")])
    assert contents(pictures) == [b"caf\xe9"]
    assert "not UTF-8" in outcome.conflicts[0].why
    assert history.apply("mine", [Change(picture, None, "cafe", digest_of(b"caf\xe9"))]).pictures == (picture,)
    history.undo()
    assert contents(pictures) == [b"caf\xe9"]


def test_two_apps_on_one_project_have_one_history(tmp_path: Path) -> None:
    pictures = make(tmp_path, [b"a"])
    one, other = History(tmp_path, ".txt"), History(tmp_path, ".txt")
    change(one, pictures, lambda text: "b", "of one")
    change(other, pictures, lambda text: "c", "of the other")
    outcome = one.undo()
    assert outcome is not None
    assert (outcome.label, contents(pictures)) == ("of the other", [b"b\n"])
    other.undo()
    assert contents(pictures) == [b"a"]
    assert (one.behind, one.redo_label) == (True, "of the other")
    one.refresh()
    assert (one.behind, one.redo_label) == (False, "of one")


def test_two_apps_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    old: list[bytes | None] = [b"a\r\nmore", None, b"c"]
    pictures = make(tmp_path, old)

    def app(name: str) -> None:
        history = History(tmp_path, ".txt")
        for number in range(8):
            change(history, pictures, caption_edits.suffixed(f"{name}{number}"))
            if number % 3 == 2:
                history.undo()

    with ThreadPoolExecutor(2) as both:
        list(both.map(app, ("x", "y")))
    history = History(tmp_path, ".txt")
    while (outcome := history.undo()) is not None:
        assert outcome.conflicts == ()
    assert contents(pictures) == old


def test_an_app_that_is_busy_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = make(tmp_path, [b"a"])
    history = History(tmp_path, ".txt")
    monkeypatch.setattr(caption_log, "WAITED_SECONDS", 0.0)
    with caption_log.opened(tmp_path), pytest.raises(UserError) as caught:
        change(history, pictures, lambda text: "b")
    assert caught.value.code == "captions-busy"
    assert contents(pictures) == [b"a"]


# ------------------------------------------------------------------------------------------------ what stops a change
KILLED = """
import os, sys
from pathlib import Path
from engine.plan import caption_edits
from engine.plan.caption_history import History

project, what, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
pictures = sorted((project / "img" / "10_ohwx man").glob("*.png"))
history = History(project, ".txt")

def progress(done, total):
    if done == at:
        os._exit(9)

if what == "undo":
    history.undo(progress)
else:
    known = {picture: picture.with_suffix(".txt").read_text().strip() for picture in pictures}
    history.apply("killed", caption_edits.changes(known, caption_edits.prefixed("ohwx")), progress)
"""


@pytest.mark.parametrize("what", ["apply", "undo"])
def test_a_change_that_was_killed_is_finished_by_the_next_start(tmp_path: Path, what: str) -> None:
    pictures = make(tmp_path, [b"a\r\n", b"b", b"c"])
    old = contents(pictures)
    if what == "undo":
        change(History(tmp_path, ".txt"), pictures, caption_edits.prefixed("ohwx"))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), what, "2"], cwd=ROOT, check=False)
    assert done.returncode == 9
    new = [b"ohwx a\n", b"ohwx b\n", b"ohwx c\n"]
    assert contents(pictures) == ([*old[:2], new[2]] if what == "undo" else [*new[:2], old[2]])
    history = History(tmp_path, ".txt")
    assert contents(pictures) == (old if what == "undo" else new)
    assert history.recovered is not None
    assert history.recovered.pictures == (pictures[2],)
    (history.redo if what == "undo" else history.undo)()
    assert contents(pictures) == (new if what == "undo" else old)
    assert History(tmp_path, ".txt").recovered is None


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Do `work` in a process that dies right before its file operation with this number; whether it came so far."""
    child = os.fork()
    if child == 0:
        operations = iter(range(moment))

        def counted(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
            if next(operations, None) is None:
                os._exit(9)
            return call(*arguments, **options)

        for name in ("write", "replace", "unlink", "fsync", "mkdir", "rename", "ftruncate"):
            setattr(os, name, partial(counted, getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("what", ["apply", "undo", pytest.param("redo", marks=pytest.mark.proof)])
def test_whenever_it_is_killed_a_change_is_whole_or_has_not_begun(tmp_path: Path, what: str) -> None:
    old: list[bytes | None] = [b"a\r\nmore", None, b"\xef\xbb\xbfc"]
    new: list[bytes | None] = [b"ohwx a\n", b"ohwx\n", b"ohwx c\n"]
    for moment in range(100):
        project = tmp_path / str(moment)
        pictures = make(project, old)
        history = History(project, ".txt")
        work: Callable[[], object] = partial(change, history, pictures, caption_edits.prefixed("ohwx"))
        if what != "apply":
            work()
            work = history.undo
        if what == "redo":
            work()
            work = history.redo
        before, after = contents(pictures), old if what == "undo" else new
        died = killed_at(moment, work)
        history = History(project, ".txt")
        assert contents(pictures) in (before, after)
        assert died or contents(pictures) == after
        while history.undo() is not None:
            pass
        assert contents(pictures) == old
        if contents(pictures) != after and history.redo() is not None:
            assert contents(pictures) == new
        if not died:
            assert moment > 10
            return
    raise AssertionError("it never came to an end")


def test_what_another_program_wrote_after_the_kill_stays(tmp_path: Path) -> None:
    pictures = make(tmp_path, [b"a", b"b", b"c"])
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "apply", "1"], cwd=ROOT, check=False)
    pictures[1].with_suffix(".txt").write_bytes(b"theirs")
    history = History(tmp_path, ".txt")
    assert history.recovered is not None
    assert [one.picture for one in history.recovered.conflicts] == [pictures[1]]
    assert contents(pictures) == [b"ohwx a\n", b"theirs", b"ohwx c\n"]
    outcome = history.undo()
    assert outcome is not None
    assert outcome.conflicts == ()
    assert contents(pictures) == [b"a", b"theirs", b"c"]


def test_a_change_that_is_cancelled_is_taken_back(tmp_path: Path) -> None:
    pictures, history = make(tmp_path, [b"a", None, b"c"]), History(tmp_path, ".txt")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        history.apply("stopped", caption_edits.changes(captions(pictures), caption_edits.prefixed("ohwx")), stop)
    assert contents(pictures) == [b"a", None, b"c"]
    assert history.undo() is None
    assert History(tmp_path, ".txt").recovered is None


@contextmanager
def disk_full_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """`os.replace`, by which all files are written, fails after so many."""
    replace, count = os.replace, [0]

    def refuse(*arguments: Any) -> None:
        count[0] += 1
        if count[0] > writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        yield count


@pytest.mark.parametrize("writes", range(6))
def test_a_full_disk_is_a_sentence_and_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    pictures, history = make(tmp_path, [b"a", b"b", b"c"]), History(tmp_path, ".txt")
    work = caption_edits.changes(captions(pictures), caption_edits.prefixed("ohwx"))
    with disk_full_after(writes, monkeypatch), pytest.raises(UserError) as caught:
        history.apply("full", work)
    assert caught.value.code == "disk-full"
    # A disk that takes nothing back either leaves the change to the next time, which makes it whole.
    history = History(tmp_path, ".txt")
    assert contents(pictures) in ([b"a", b"b", b"c"], [b"ohwx a\n", b"ohwx b\n", b"ohwx c\n"])
    if writes < 2:
        assert contents(pictures) == [b"a", b"b", b"c"]
    while history.undo() is not None:
        pass
    assert contents(pictures) == [b"a", b"b", b"c"]


# ------------------------------------------------------------------------------------------------------- the list
def damages(file: Path) -> dict[str, Callable[[], object]]:
    data = file.read_bytes()
    return {
        "a torn last line": lambda: file.write_bytes(data + data.splitlines(keepends=True)[0][:-9]),
        "a last line without its end": lambda: file.write_bytes(data.rstrip(b"\n")),
        "nonsense between": lambda: file.write_bytes(b'\xff\x00{"v": 2}\n[]\n{"v": 2, "do": 3}\n' + data),
        "deep nonsense": lambda: file.write_bytes(b"[" * 100_000 + b"\n" + data),
    }


@pytest.mark.parametrize(
    "damage", ["a torn last line", "a last line without its end", "nonsense between", "deep nonsense"]
)
def test_a_damaged_list_gives_what_is_left_of_it(tmp_path: Path, damage: str) -> None:
    pictures, history = make(tmp_path, [b"a", b"b"]), History(tmp_path, ".txt")
    change(history, pictures, caption_edits.prefixed("ohwx"), "one")
    damages(caption_log.file_of(tmp_path))[damage]()
    history = History(tmp_path, ".txt")
    assert history.undo_label == "one"
    change(history, pictures, caption_edits.suffixed("x"), "two")
    history = History(tmp_path, ".txt")
    history.undo()
    history.undo()
    assert contents(pictures) == [b"a", b"b"]


def test_an_entry_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    pictures, history = make(tmp_path, [b"a"]), History(tmp_path, ".txt")
    change(history, pictures, lambda text: "b", "one")
    change(history, pictures, lambda text: "c", "two")
    file = caption_log.file_of(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"before": "b', b'"befor!": "b')
    file.write_bytes(b"".join(lines))
    outcome = History(tmp_path, ".txt").undo()
    assert outcome is not None
    assert outcome.label == "one"
    assert contents(pictures) == [b"c\n"]  # nobody knows how it came to that, so it is not written over


def test_a_long_list_loses_its_oldest_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (picture,) = pictures = make(tmp_path, [b"0"])
    monkeypatch.setattr(caption_history, "MOST_ENTRIES", 8)
    history, text = History(tmp_path, ".txt"), "0"
    for number in range(1, 40):
        history.apply(f"number {number}", [Change(picture, text, str(number))])
        text = str(number)
    for number in range(39, 36, -1):
        outcome = history.undo()
        assert outcome is not None
        assert outcome.label == f"number {number}"
    monkeypatch.setattr(caption_history, "MOST_ENTRIES", 2)  # now there is too much on both sides
    history = History(tmp_path, ".txt")
    assert (history.undo_label, history.redo_label) == ("number 36", "number 37")
    assert len(caption_log.file_of(tmp_path).read_bytes().splitlines()) <= 12
    assert History(tmp_path, ".txt").redo_label == "number 37"
    history.redo()
    history.redo()
    assert history.redo() is None
    assert contents(pictures) == [b"38\n"]
    while history.undo() is not None:
        pass
    assert contents(pictures) == [b"36\n"]


def test_a_hundred_thousand_lines_are_read_in_a_moment_and_shortened(tmp_path: Path) -> None:
    (picture,) = pictures = make(tmp_path, [b"x0\n"])
    write_caption(tmp_path, picture, "x1", ".txt")
    file = caption_log.file_of(tmp_path)
    record = json.loads(file.read_bytes())
    with open(file, "w", encoding="ascii") as out:
        for number in range(100_000):
            before, after = f"x{number}", f"x{number + 1}"
            out.write(json.dumps(record | {"before": before, "after": after, "was": before, "now": after}) + "\n")
    picture.with_suffix(".txt").write_bytes(b"x100000")
    history = History(tmp_path, ".txt")
    assert len(file.read_bytes().splitlines()) == caption_history.MOST_ENTRIES
    history.undo()
    assert contents(pictures) == [b"x99999"]


def test_hostile_names_and_labels_are_inert(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    picture = tmp_path / FOLDER / os.fsdecode(b"\xff\x1b]0;x\x07\xe2\x80\xae[b].png")
    picture.touch()
    history = History(tmp_path, ".txt")
    outcome = history.apply("\x1b[2J[red]", [Change(picture, None, "a \x1b[2J b" + "x" * 100_000)])
    assert inert(outcome.sentence) == outcome.sentence
    line = caption_log.file_of(tmp_path).read_bytes()
    assert all(0x20 <= byte < 0x7F for byte in line.replace(b"\n", b""))
    history = History(tmp_path, ".txt")
    undone = history.undo()
    assert undone is not None
    assert undone.pictures == (picture,)
    assert not picture.with_suffix(".txt").exists()


def test_captions_outside_of_the_project_come_back_too(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    pictures, history = make(tmp_path / "elsewhere", [b"a"]), History(project, ".txt")
    change(history, pictures, lambda text: "b")
    write_caption(project, pictures[0], "c", ".txt")
    history = History(project, ".txt")
    history.undo()
    history.undo()
    assert contents(pictures) == [b"a"]
