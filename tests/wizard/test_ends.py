"""How a run ended is read off the last line of its log, and only when that has grown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.runs import events as events_module
from engine.runs.events import EventWriter, last_event
from engine.runs.folder import RunFolder
from lora_tui import ends as ends_module
from lora_tui.ends import Ends


def run(folder: Path) -> RunFolder:
    (folder / "run").mkdir()
    return RunFolder(folder / "run")


def test_the_last_word_is_the_end(tmp_path: Path) -> None:
    made, ends = run(tmp_path), Ends()
    assert ends.status(made) is None
    with EventWriter(made.events_path) as log:
        log.write("phase", name="training", state="start")
        assert ends.status(made) == ""
        log.write("end", status="stopped", message="Stopped.")
        assert ends.status(made) == "stopped"
        log.write("phase", name="loading libraries", state="start")  # it goes on
        assert ends.status(made) == ""
        log.write("end", status="finished", message="Trained 4 steps.")
    assert ends.status(made) == "finished"


def test_a_log_that_has_not_grown_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, ends, read = run(tmp_path), Ends(), []

    def counted(path: Path) -> object:
        read.append(path)
        return last_event(path)

    monkeypatch.setattr(ends_module, "last_event", counted)
    with EventWriter(made.events_path) as log:
        log.write("end", status="finished", message="")
    assert [ends.status(made) for _ in range(3)] == ["finished"] * 3
    assert len(read) == 1


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        log.write("warning", message="x" * 2 * events_module.TAIL_BYTES)
        log.write("end", status="failed")
    with path.open("ab") as file:
        file.write(b'{"v":1,"seq":3,"ti')  # torn
    found = last_event(path)
    assert found is not None
    assert found["status"] == "failed"


def test_what_is_no_log_says_nothing_and_holds_up_nobody(tmp_path: Path) -> None:
    made = run(tmp_path)
    os.mkfifo(made.events_path)
    assert Ends().status(made) == ""
    made.events_path.unlink()
    made.events_path.write_bytes(b'{"kind":"end","seq":1,"status":["finished"]}\n\xff\xff\n')
    assert Ends().status(made) == ""
