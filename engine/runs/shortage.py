"""Memory and disk that are about to run out, told before the system ends the engine without a word.

Looked at with each heartbeat, in its thread; nothing waits for a graphics card.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan import machine
from engine.plan.byte_counts import size
from engine.plan.files import mount_point

LOW_SHARE, LOW_BYTES = 0.05, 2**30
"""Of the memory that is there, and never more than this much: what a large machine has left then still is a lot."""
LITTLE_ROOM_BYTES = 256 * 1000**2
"""On the disk, where nobody has said what will be written: events, a log and some pictures."""


@dataclass
class Shortage:
    """For one engine, with its run's `folder`: each kind is told once. `disk_bytes`: what will be written next, once
    the job knows it; too little room for that is told also where it was little before. `memory`: what there is, in a
    container of what it may have."""

    folder: Path
    disk_bytes: int | None = None
    memory: Callable[[], machine.Memory] = machine.memory
    _told: set[str] = field(default_factory=set)

    def news(self, facts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Code and message of each warning that is due. `facts`: of a heartbeat (`log.memory_facts`)."""
        memory = self._memory()
        if memory is not None and is_low(memory) and self._first("memory-low"):
            whose = "this container" if memory.limited else "this computer"
            message = (
                f"Only {size(memory.available_bytes)} of the {size(memory.total_bytes)} of memory that {whose} has are "
                "free. With none left the system ends programs without a word. Close others; a run that was ended can "
                "be resumed."
            )
            yield "memory-low", message
        free, needed = facts.get("disk_free_bytes"), self.disk_bytes
        if free is None:
            return
        left = f"Only {size(free)} are left on the disk at {mount_point(self.folder)}"
        if needed is None:
            if free < LITTLE_ROOM_BYTES and self._first("disk-little"):
                yield "disk-low", f"{left}. Make some room there, or what this run writes may not fit."
        elif free < needed and self._first("disk-low"):
            yield "disk-low", f"{left}, and the next save needs {size(needed)}. Make some room there, or it will fail."

    def _memory(self) -> machine.Memory | None:
        """None where the system does not tell: psutil has errors of its own for that."""
        with contextlib.suppress(Exception):
            return self.memory()
        return None

    def _first(self, kind: str) -> bool:
        first = kind not in self._told
        self._told.add(kind)
        return first


def is_low(memory: machine.Memory) -> bool:
    return memory.available_bytes < min(LOW_BYTES, memory.total_bytes * LOW_SHARE)
