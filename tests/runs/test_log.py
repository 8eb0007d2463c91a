"""engine.log stays small while the engine writes into it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from engine.runs.events import EventWriter, read_all
from engine.runs.folder import RunFolder
from engine.runs.log import Heart, last_lines, trim


def test_a_long_log_is_cut_at_a_line_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # as the launcher hands it to the engine
    for number in range(1000):
        os.write(fd, b"line %d\n" % number)
    assert not trim(path, limit=100_000, kept=100)
    assert trim(path, limit=1000, kept=100)
    os.write(fd, b"and on\n")
    os.close(fd)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("[earlier lines")
    assert lines[1].startswith("line 9")
    assert lines[-2:] == ["line 999", "and on"]
    assert len(lines) < 20


def test_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    assert last_lines(path) == []
    path.write_bytes(b"a\n\nb\xff\n\n")
    assert last_lines(path) == ["b�"]
    assert last_lines(path, 2) == ["a", "b�"]


def test_the_heart_beats_and_stops(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with EventWriter(run.events_path) as events:
        with Heart(run, events, seconds=0.01):
            time.sleep(0.1)
        events.write("end", status="finished")
    told = list(read_all(run.events_path))
    kinds = [event["kind"] for event in told]
    assert kinds[0] == "heartbeat"
    assert 0 < told[0]["rss_bytes"] <= told[0]["ram_total_bytes"]
    assert 0 < told[0]["ram_used_bytes"] < told[0]["ram_total_bytes"]
    assert told[0]["peak_rss_bytes"] > 0
    assert told[0]["disk_free_bytes"] > 0
    assert kinds[-1] == "end"
