"""Memory and disk that are about to run out, told before the system ends the engine without a word.

Looked at with each heartbeat, in its thread; nothing waits for a graphics card.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan.disk import size
from engine.plan.files import mount_point

LOW_SHARE, LOW_BYTES = 0.05, 2**30
"""Of the memory that is there, and never more than this much: what a large machine has left then still is a lot."""
USUAL_ROOM_BYTES = 256 * 1000**2
"""On the disk, where nobody has said what will be written: events, a log and some pictures."""
GROUPS = Path("/sys/fs/cgroup")
UNLIMITED_BYTES = 2**60
"""The first kind of control groups tells a huge number where there is no limit."""


@dataclass(frozen=True)
class Memory:
    """available and total in bytes, of the machine or of what a container may have of it, whichever is less."""

    available: int
    total: int
    container: bool = False

    @property
    def low(self) -> bool:
        return self.available < min(LOW_BYTES, self.total * LOW_SHARE)


@dataclass
class Shortage:
    """For one engine: each kind is told once. `disk_bytes`: what will be written next, as the job knows it."""

    folder: Path
    disk_bytes: int = USUAL_ROOM_BYTES
    groups: Path = GROUPS
    _told: set[str] = field(default_factory=set)

    def news(self, facts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Code and message of each warning that is due. `facts`: of a heartbeat (`log.memory_facts`)."""
        memory = memory_left(facts, self.groups)
        if memory is not None and memory.low and self._first("memory-low"):
            whose = "this container" if memory.container else "this computer"
            message = (
                f"Only {size(memory.available)} of the {size(memory.total)} of memory that {whose} has are free. With "
                "none left the system ends programs without a word; close others, and it can be resumed if it comes to "
                "that."
            )
            yield "memory-low", message
        free = facts.get("disk_free_bytes")
        if free is not None and free < self.disk_bytes and self._first("disk-low"):
            message = (
                f"Only {size(free)} are left on the disk at {mount_point(self.folder)}, and the next save needs "
                f"{size(self.disk_bytes)}. Make some room there, or it will fail."
            )
            yield "disk-low", message

    def _first(self, kind: str) -> bool:
        first = kind not in self._told
        self._told.add(kind)
        return first


def memory_left(facts: Mapping[str, int], groups: Path = GROUPS) -> Memory | None:
    """What can still be had; None where the system does not tell."""
    used, total = facts.get("ram_used_bytes"), facts.get("ram_total_bytes")
    machine = Memory(total - used, total) if used is not None and total is not None else None
    container = _container(groups)
    found = [memory for memory in (machine, container) if memory is not None]
    return min(found, key=lambda memory: memory.available, default=None)


def _container(groups: Path) -> Memory | None:
    """The limit of the control group that we are in, as a container sees it; None where there is none.

    Files that were read and can be dropped count as used there, and are free all the same.
    """
    for limit, usage, statistics in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        try:
            total, used = int((groups / limit).read_text()), int((groups / usage).read_text())
            droppable = _inactive((groups / statistics).read_text())
        except (OSError, ValueError):  # "max": no limit
            continue
        if total < UNLIMITED_BYTES:
            return Memory(max(0, total - used + droppable), total, container=True)
    return None


def _inactive(statistics: str) -> int:
    rows = dict(row.split(" ", 1) for row in statistics.splitlines() if " " in row)
    return int(rows.get("total_inactive_file", rows.get("inactive_file", 0)))
