"""The log: one line an event, readable while it grows and after anything that can happen to it."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan.errors import UserError
from engine.runs.events import EventReader, EventWriter, parse, read_all, tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_events_are_numbered_and_timed(path: Path) -> None:
    with EventWriter(path, clock=lambda: 12.3456) as events:
        assert events.write("heartbeat") == 1
        assert events.write("step", step=1, loss=0.5) == 2
    assert path.read_text().splitlines()[1] == '{"v":1,"seq":2,"time":12.346,"kind":"step","step":1,"loss":0.5}'


def test_a_restarted_engine_ends_a_torn_line_and_goes_on_counting(path: Path) -> None:
    with EventWriter(path) as events:
        events.write("heartbeat")
        events.write("heartbeat")
    path.write_bytes(path.read_bytes()[:-7])
    with EventWriter(path) as events:
        assert events.write("heartbeat") == 2
    assert [event["seq"] for event in read_all(path)] == [1, 2]
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null_with_one_warning(path: Path, bad: float) -> None:
    with EventWriter(path) as events:
        events.write("step", step=7, loss=bad, lr={"unet": bad})
        events.write("step", step=8, loss=bad, lr={"unet": 1.0})
        events.write("step", step=9, loss=0.1, lr={"unet": 1.0})
        events.write("step", step=10, loss=bad)
    events_read = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert [event["kind"] for event in events_read] == ["step", "warning", "step", "step", "step", "warning"]
    assert events_read[0]["loss"] is None
    assert events_read[0]["lr"] == {"unet": None}
    assert events_read[1]["code"] == "not-finite"
    assert "loss, lr.unet" in events_read[1]["message"]
    assert "step 7" in events_read[1]["message"]


def test_paths_are_relative_to_the_run_folder(path: Path) -> None:
    with EventWriter(path) as events:
        events.write("saved", path=path.parent / "output" / "x.safetensors", elsewhere=Path("/a/b"))
    event = next(read_all(path))
    assert (event["path"], event["elsewhere"]) == ("output/x.safetensors", "/a/b")


def test_a_name_that_is_not_utf8_survives(path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    with EventWriter(path) as events:
        events.write("warning", message=name)
    assert next(read_all(path))["message"] == name
    path.read_bytes().decode("utf-8")


def test_threads_do_not_mix_lines(path: Path) -> None:
    with EventWriter(path) as events:

        def write() -> None:
            for _ in range(200):
                events.write("step", text="x" * 500)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [event["seq"] for event in read_all(path)] == list(range(1, 801))


def test_a_full_disk_is_named_and_the_next_line_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def no_room(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def half(fd: int, data: bytes) -> int:
        return real(fd, data[: len(data) // 2])

    with EventWriter(path) as events:
        for fault in (no_room, half):
            monkeypatch.setattr(os, "write", fault)
            with pytest.raises(UserError) as error:
                events.write("heartbeat")
            assert error.value.code == "disk-full"
            assert "The disk at" in error.value.message
        monkeypatch.setattr(os, "write", real)
        events.write("heartbeat")
    assert [event["seq"] for event in read_all(path)] == [1]


def test_a_reader_waits_for_the_rest_of_a_line(path: Path) -> None:
    reader = EventReader(path)
    assert reader.read() == []  # not there yet
    path.write_bytes(b'{"seq":1,"kind":"a"}\n{"seq":2,"ki')
    assert [event["seq"] for event in reader.read()] == [1]
    with path.open("ab") as file:
        file.write(b'nd":"b"}\n')
    assert [event["seq"] for event in reader.read()] == [2]
    assert reader.skipped == 0


@pytest.mark.parametrize(
    "damage", [b"{", b"[1]", b'{"kind":1,"seq":1}', b'{"kind":"a"}', b"\xff\xfe", b"[" * 5000, b"null"]
)
def test_damaged_lines_are_skipped(path: Path, damage: bytes) -> None:
    path.write_bytes(b'{"seq":1,"kind":"a"}\n' + damage + b'\n\n{"seq":2,"kind":"b"}\n')
    reader = EventReader(path)
    assert [event["seq"] for event in reader.read()] == [1, 2]
    assert reader.skipped == 1


def test_a_line_without_end_does_not_fill_the_memory(path: Path) -> None:
    path.write_bytes(b"x" * 3_000_000 + b'\n{"seq":2,"kind":"b"}\n')
    reader = EventReader(path)
    assert [event["seq"] for event in reader.read()] == [2]


def test_a_log_cut_anywhere_gives_what_came_before(path: Path) -> None:
    with EventWriter(path, clock=lambda: 1.5) as events:
        for number in range(4):
            events.write("step", step=number, text="ä€😀")
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        reader = EventReader(path)
        assert [event["seq"] for event in reader.read()] == list(range(1, whole[:cut].count(b"\n") + 1))
        assert reader.skipped == 0
        path.write_bytes(whole)  # the rest comes
        assert len(reader.read()) == 4 - whole[:cut].count(b"\n")


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\0" * 50, b"{}", b"],[", b"1,2", b"[1", b"2]", b"NaN"])))
def test_damage_in_the_middle_loses_nothing_else(damage: list[bytes]) -> None:
    damage = [junk for junk in damage if parse(junk) is None]
    lines = [b'{"seq":%d,"kind":"a"}' % number for number in range(len(damage) + 1)]
    mixed = [lines[0]]
    for line, junk in zip(lines[1:], damage, strict=True):
        mixed += [junk, line]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in mixed))
        assert [event["seq"] for event in EventReader(path).read()] == list(range(len(lines)))


def test_zeros_that_a_power_cut_left_do_not_swallow_the_next_line(path: Path) -> None:
    path.write_bytes(b'{"seq":1,"kind":"a"}\n' + b"\0" * 4000 + b'{"seq":2,"kind":"b"}\n')
    assert [event["seq"] for event in EventReader(path).read()] == [1, 2]


@pytest.mark.parametrize("number", ["1" + "0" * 10_000, "1e999", "NaN", "-Infinity"])
def test_numbers_that_are_none_stop_nobody(path: Path, number: str) -> None:
    path.write_text(f'{{"seq":1,"kind":"a","x":{number}}}\n{{"seq":2,"kind":"b"}}\n')
    assert [event["seq"] for event in EventReader(path).read()][-1] == 2


@pytest.mark.parametrize("kind", ["folder", "fifo", "link to nothing", "unreadable", "loop", "folder is a file"])
def test_what_cannot_be_read_is_waited_for(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = EventReader(path)
    path.write_bytes(b'{"seq":1,"kind":"a"}\n')
    assert len(reader.read()) == 1
    path.unlink()
    real = os.open
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link to nothing":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "unreadable":

        def refuse(*_: object, **__: object) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
    else:
        path.parent.rmdir()
        path.parent.touch()
    assert reader.read() == []
    assert EventReader(path).read() == []
    monkeypatch.setattr(os, "open", real)
    if kind == "folder":
        path.rmdir()
    elif kind == "folder is a file":
        path.parent.unlink()
        path.parent.mkdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(b'{"seq":1,"kind":"a"}\n{"seq":2,"kind":"b"}\n')
    assert [event["seq"] for event in reader.read()] == [2]  # the same file again


def test_a_shorter_file_is_read_from_its_beginning(path: Path) -> None:
    reader = EventReader(path)
    path.write_bytes(b'{"seq":1,"kind":"a"}\n{"seq":2,"kind":"b"}\n{"seq":3,"ki')
    assert [event["seq"] for event in reader.read()] == [1, 2]
    path.write_bytes(b'{"seq":1,"kind":"a"}\n')
    assert [event["seq"] for event in reader.read()] == [1]
    assert reader.beginnings == 1
    assert reader.read() == []
    assert reader.skipped == 0


def test_another_file_in_its_place_is_read_from_its_beginning(path: Path) -> None:
    reader = EventReader(path)
    path.write_bytes(b'{"seq":1,"kind":"a"}\n')
    reader.read()
    same, other = path.with_name("same"), path.with_name("other")
    same.write_bytes(b'{"seq":1,"kind":"a"}\n{"seq":2,"kind":"a"}\n')
    same.replace(path)  # some network disks number their files anew
    assert [event["seq"] for event in reader.read()] == [2]
    other.write_bytes(b'{"seq":8,"kind":"x"}\n' * 5)
    other.replace(path)
    assert [event["seq"] for event in reader.read()] == [8] * 5
    assert reader.beginnings == 1


def test_of_the_cards_figures_only_the_newest_of_a_read_is_worked_out(path: Path) -> None:
    with EventWriter(path) as events:
        for number in range(300):
            events.write("step", step=number)
            events.write("gpu", used_bytes=number)
        events.write("end", status="finished")
    found = EventReader(path, newest_gpu=True).read()
    assert [event["step"] for event in found if event["kind"] == "step"] == list(range(300))
    assert [event["used_bytes"] for event in found if event["kind"] == "gpu"] == [299]
    assert [event["kind"] for event in found[-3:]] == ["step", "gpu", "end"]
    assert len(list(read_all(path))) == 601


def test_a_long_log_comes_in_slices(path: Path) -> None:
    with EventWriter(path) as events:
        for _ in range(2500):
            events.write("step")
    reader = EventReader(path)
    assert [len(reader.read()) for _ in range(4)] == [1000, 1000, 500, 0]


def test_tail_reads_what_was_written_before_the_end(path: Path) -> None:
    events = EventWriter(path)
    events.write("job")
    rounds = iter([False, True])

    def until() -> bool:
        over = next(rounds)
        events.write("heartbeat")
        return over

    kinds = [event["kind"] for piece in tail(path, until, poll_seconds=0) for event in piece]
    assert kinds == ["job", "heartbeat", "heartbeat"]


def test_the_manual_shows_lines_as_the_engine_writes_them() -> None:
    root = Path(__file__).parents[2]
    lines = [
        line for line in (root / "docs" / "events.md").read_bytes().splitlines() if line.startswith(b'{"v":1,"seq"')
    ]
    events = [parse(line) for line in lines]
    source = "".join(path.read_text("utf-8") for path in (root / "engine").rglob("*.py"))
    assert len(events) > 4
    for event in events:
        assert event is not None
        assert event["kind"] != "phase" or f'"{event["name"]}"' in source
        if event["kind"] == "step":
            assert event["lr"]["unet"] == event["d"]  # Prodigy's rate of 1.0
