"""Memory and disk that run out are told once and in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.machine import Memory
from engine.runs.events import EventWriter, read_all
from engine.runs.folder import RunFolder
from engine.runs.log import Heart
from engine.runs.shortage import Shortage

GIB = 2**30


def shortage(folder: Path, free_gib: float, total_gib: float = 64.0, limited: bool = False, disk: int = 0) -> Shortage:
    memory = Memory(int(total_gib * GIB), int(free_gib * GIB), limited)
    return Shortage(folder, disk, lambda: memory)


@pytest.mark.parametrize(
    ("free", "total", "low"),
    [(1.1, 64, False), (0.9, 64, True), (0.9, 8, False), (0.5, 8, False), (0.3, 8, True), (0.15, 2, False)],
)
@pytest.mark.parametrize("limited", [False, True])
def test_memory_is_low_below_a_gibibyte_or_a_twentieth(
    tmp_path: Path, free: float, total: float, low: bool, limited: bool
) -> None:
    news = dict(shortage(tmp_path, free, total, limited).news({}))
    assert ("memory-low" in news) == low
    if low:
        assert f"{free * GIB / 1e6:.0f} MB" in news["memory-low"]
        assert ("this container" if limited else "this computer") in news["memory-low"]


def test_each_kind_is_told_once(tmp_path: Path) -> None:
    watch = shortage(tmp_path, 0.5, disk=5 * 10**9)
    assert [code for code, _ in watch.news({"disk_free_bytes": 6 * 10**9})] == ["memory-low"]
    ((code, message),) = watch.news({"disk_free_bytes": 4 * 10**9})
    assert code == "disk-low"
    assert "4.0 GB" in message
    assert "5.0 GB" in message
    assert list(watch.news({"disk_free_bytes": 1})) == []


def test_before_the_job_knows_what_it_writes_no_size_is_invented(tmp_path: Path) -> None:
    """And it is told anew with the real one, once that does not fit either."""
    enough = Memory(64 * GIB, 60 * GIB, False)
    watch = Shortage(tmp_path, memory=lambda: enough)
    assert list(watch.news({"disk_free_bytes": 300 * 10**6})) == []
    ((code, message),) = watch.news({"disk_free_bytes": 24 * 10**6})
    assert code == "disk-low"
    assert message.startswith("Only 24 MB are left on the disk")
    assert "needs" not in message
    assert "256" not in message
    assert list(watch.news({"disk_free_bytes": 20 * 10**6})) == []
    watch.disk_bytes = 12 * 10**6
    assert list(watch.news({"disk_free_bytes": 20 * 10**6})) == []
    ((code, message),) = watch.news({"disk_free_bytes": 11 * 10**6})
    assert code == "disk-low"
    assert "Only 11 MB are left" in message
    assert "the next save needs 12 MB" in message
    assert list(watch.news({"disk_free_bytes": 9 * 10**6})) == []


def test_a_system_that_does_not_tell_is_no_error(tmp_path: Path) -> None:
    def unknown() -> Memory:
        raise OSError("no /proc here")

    assert list(Shortage(tmp_path, 5, unknown).news({})) == []
    assert list(Shortage(tmp_path).news({"disk_free_bytes": 10**12})) == []  # of this machine, as it is


def test_the_heart_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runs.log.memory_facts", lambda run: {"disk_free_bytes": 1})
    run = RunFolder(tmp_path)
    with EventWriter(run.events_path) as events, Heart(run, events, 0.01, shortage(tmp_path, 0.5, disk=2)) as heart:
        while sum(event["kind"] == "heartbeat" for event in read_all(run.events_path)) < 4:
            heart._stop.wait(0.01)
    warned = [event for event in read_all(run.events_path) if event["kind"] == "warning"]
    assert [event["code"] for event in warned] == ["memory-low", "disk-low"]
    assert all(event["change"] is None for event in warned)
