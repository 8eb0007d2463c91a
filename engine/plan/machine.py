"""This machine's processor, memory and disk. A rented container's own limits count where they are less."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
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
    """The least of a container's or job's limits, and what it uses of it that cannot be given back; None for none."""
    found: list[tuple[int, int | None]] = []
    for folder, limit_name, used_name, cached in _cgroups(root):
        limit = _number(folder / limit_name)
        if limit is not None and limit < _NO_LIMIT:
            used = _number(folder / used_name)
            given_back = _line(folder / "memory.stat", cached)
            found.append((limit, None if used is None else max(0, used - given_back)))
    return min(found, key=lambda pair: pair[0]) if found else (None, None)


def _cgroups(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Where limits may stand, of both versions: in a container at the top, in a batch job in its own group or above.
    With the names of the limit, of what is used, and of what of that is only cached."""
    top = root / "sys/fs/cgroup"
    for parent, controller, names in (
        (top, "", ("memory.max", "memory.current", "inactive_file")),
        (top / "memory", "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")),
    ):
        yield parent, *names
        own = _own_group(root, controller)
        for group in (own, *own.parents):
            if group != Path("."):
                yield parent / group, *names


def _own_group(root: Path, controller: str) -> Path:
    """Our own group's path below the top, "." where it is that itself or cannot be told."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8", "replace").splitlines()
    except OSError:
        return Path(".")
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controller in controllers.split(",") and ".." not in path:
            return Path(path.lstrip("/") or ".")
    return Path(".")


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
