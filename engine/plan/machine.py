"""This machine's processor, memory and disk. A rented container's own limits count where they are less."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from engine.plan.errors import inert

_NO_LIMIT = 2**60  # bytes; cgroups of version 1 write about 2^63 where there is none


@dataclass(frozen=True)
class Memory:
    """In bytes. limited: whether a container's limit is less than the machine's memory, and these are its figures."""

    total_bytes: int
    available_bytes: int
    limited: bool = False


@dataclass(frozen=True)
class Processor:
    """cores: that this program may use, a container's share rounded up."""

    name: str
    cores: int


def memory(root: Path = Path("/")) -> Memory:
    """The machine's memory, or the container's. `root`: of the file system, for tests."""
    import psutil

    whole = psutil.virtual_memory()
    total, available = int(whole.total), int(whole.available)
    limit, used = _limit(root)
    if limit is None or limit >= total:
        return Memory(total, available)
    return Memory(limit, min(available, max(0, limit - (used or 0))), limited=True)


def _limit(root: Path) -> tuple[int | None, int | None]:
    """A container's limit, and what it uses of it that cannot be given back; None where there is none."""
    cgroup = root / "sys/fs/cgroup"
    for limit_path, used_path, stat_path, cached in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        limit = _number(cgroup / limit_path)
        if limit is not None:
            used = _number(cgroup / used_path)
            return (
                (limit if limit < _NO_LIMIT else None),
                None if used is None else max(0, used - _line(cgroup / stat_path, cached)),
            )
    return None, None


def processor(root: Path = Path("/")) -> Processor:
    """The processor's name, and the cores of it that are there for us."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    share = _share(root / "sys/fs/cgroup")
    return Processor(_name(root), max(1, min(cores, share)) if share else cores)


def _name(root: Path) -> str:
    try:
        for line in (root / "proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return inert(" ".join(value.split()), 100)
    except OSError:
        pass
    return inert(platform.processor() or platform.machine() or "a processor", 100)


def _share(cgroup: Path) -> int:
    """The cores' worth of time that a container gets, rounded up; 0 where it may use all."""
    try:
        quota, period = (cgroup / "cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        quota, period = (str(_number(cgroup / "cpu" / f"cpu.cfs_{name}_us") or "") for name in ("quota", "period"))
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return 0
    return -(-int(quota) // int(period))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):  # "max" where there is no limit
        return None


def _line(path: Path, name: str) -> int:
    try:
        found = dict(line.split() for line in path.read_text("ascii").splitlines())
        return int(found.get(name, 0))
    except (OSError, ValueError):
        return 0
