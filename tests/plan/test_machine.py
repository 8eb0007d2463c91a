"""Processor and memory, with the limits of a rented container."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.machine import memory, processor

GB = 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sys/fs/cgroup/memory").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu").mkdir()
    (tmp_path / "proc").mkdir()
    return tmp_path


def test_without_a_limit_the_machines_memory_counts(root: Path) -> None:
    import psutil

    assert memory(root).total_bytes == psutil.virtual_memory().total
    (root / "sys/fs/cgroup/memory.max").write_text("max\n")
    assert not memory(root).limited
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert not memory(root).limited


def test_a_containers_limit_counts_and_what_is_only_cached_is_free(root: Path) -> None:
    cgroup = root / "sys/fs/cgroup"
    (cgroup / "memory.max").write_text(f"{10**8}\n")
    (cgroup / "memory.current").write_text(f"{9 * 10**7}\n")
    (cgroup / "memory.stat").write_text(f"anon 1\ninactive_file {8 * 10**7}\n")
    found = memory(root)
    assert (found.total_bytes, found.available_bytes, found.limited) == (10**8, 9 * 10**7, True)


def test_the_older_kind_of_cgroup(root: Path) -> None:
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text(f"{10**8}\n")
    (root / "sys/fs/cgroup/memory/memory.usage_in_bytes").write_text(f"{2 * 10**8}\n")
    found = memory(root)
    assert (found.total_bytes, found.available_bytes, found.limited) == (10**8, 0, True)


@pytest.mark.parametrize(
    ("says", "folder", "name"),
    [
        ("0::/slurm/job_7/step_0\n", "sys/fs/cgroup/slurm/job_7", "memory.max"),
        ("3:cpu:/x\n9:memory:/slurm/job_7\n", "sys/fs/cgroup/memory/slurm/job_7", "memory.limit_in_bytes"),
    ],
)
def test_the_limit_of_a_batch_job_counts(root: Path, says: str, folder: str, name: str) -> None:
    (root / "proc/self").mkdir()
    (root / "proc/self/cgroup").write_text(says)
    (root / folder).mkdir(parents=True)
    (root / folder / name).write_text(f"{10**8}\n")
    assert memory(root).total_bytes == 10**8
    (root / "proc/self/cgroup").write_text("0::/../../escape\n nonsense\n")
    assert not memory(root).limited


def test_the_processors_name_and_a_containers_share_of_it(root: Path) -> None:
    (root / "proc/cpuinfo").write_text("processor : 0\nmodel name\t: AMD  EPYC\x1b[2J 7763\n")
    whole = processor(root)
    assert whole.name == "AMD EPYC\\x1b[2J 7763"
    assert whole.cores >= 1
    (root / "sys/fs/cgroup/cpu.max").write_text("50000 100000\n")
    assert processor(root).cores == 1
    (root / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    assert processor(root).cores == whole.cores
    (root / "sys/fs/cgroup/cpu.max").unlink()
    (root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").write_text("-1\n")
    (root / "sys/fs/cgroup/cpu/cpu.cfs_period_us").write_text("100000\n")
    assert processor(root).cores == whole.cores
