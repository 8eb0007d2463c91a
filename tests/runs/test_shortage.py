"""Memory and disk that run out are told once, in time, also in a container with less than the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runs.events import EventWriter, read_all
from engine.runs.folder import RunFolder
from engine.runs.log import Heart
from engine.runs.shortage import Memory, Shortage, memory_left

GIB = 2**30
NOWHERE = Path("/no/groups")


def facts(free_gib: float, total_gib: float = 64.0, disk: int = 10**12) -> dict[str, int]:
    total = int(total_gib * GIB)
    return {"ram_used_bytes": total - int(free_gib * GIB), "ram_total_bytes": total, "disk_free_bytes": disk}


@pytest.mark.parametrize(
    ("free", "total", "low"),
    [(1.1, 64, False), (0.9, 64, True), (0.9, 8, False), (0.5, 8, False), (0.3, 8, True), (0.15, 2, False)],
)
def test_memory_is_low_below_a_gibibyte_or_a_twentieth(tmp_path: Path, free: float, total: float, low: bool) -> None:
    news = dict(Shortage(tmp_path, groups=NOWHERE).news(facts(free, total)))
    assert ("memory-low" in news) == low
    if low:
        assert f"{free * GIB / 1e6:.0f} MB" in news["memory-low"]
        assert "this computer" in news["memory-low"]


def test_each_kind_is_told_once(tmp_path: Path) -> None:
    shortage = Shortage(tmp_path, groups=NOWHERE, disk_bytes=5 * 10**9)
    assert [code for code, _ in shortage.news(facts(0.5, disk=6 * 10**9))] == ["memory-low"]
    ((code, message),) = shortage.news(facts(0.5, disk=4 * 10**9))
    assert code == "disk-low"
    assert "4.0 GB" in message
    assert "5.0 GB" in message
    assert list(shortage.news(facts(0.1, disk=1))) == []


@pytest.mark.parametrize("first_kind", [False, True])
def test_a_containers_limit_counts_and_what_can_be_dropped_is_free(tmp_path: Path, first_kind: bool) -> None:
    folder = tmp_path / "memory" if first_kind else tmp_path
    folder.mkdir(exist_ok=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if first_kind else ("memory.max", "memory.current")
    for name, value in zip(names, (4 * GIB, 4 * GIB - 2**20), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {2**20 * 100}\nactive_file 7\n")
    assert memory_left(facts(30), tmp_path) == Memory(2**20 * 101, 4 * GIB, container=True)
    ((code, message),) = Shortage(tmp_path, groups=tmp_path).news(facts(30))
    assert code == "memory-low"
    assert "this container" in message


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096), "", "nonsense"])
def test_a_container_without_a_limit_is_the_machine(tmp_path: Path, limit: str) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("5")
    (tmp_path / "memory.stat").write_text("inactive_file 0")
    assert memory_left(facts(30), tmp_path) == Memory(30 * GIB, 64 * GIB)
    assert memory_left({}, tmp_path) is None


def test_the_heart_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runs.log.memory_facts", lambda run: facts(0.5, disk=1))
    run = RunFolder(tmp_path)
    with EventWriter(run.events_path) as events, Heart(run, events, 0.01, Shortage(run.path, groups=NOWHERE)) as heart:
        while sum(event["kind"] == "heartbeat" for event in read_all(run.events_path)) < 4:
            heart._stop.wait(0.01)
    warned = [event for event in read_all(run.events_path) if event["kind"] == "warning"]
    assert [event["code"] for event in warned] == ["memory-low", "disk-low"]
    assert all(event["change"] is None for event in warned)
