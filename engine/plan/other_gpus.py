"""GPUs of other makers, told from the system's files without torch: AMD's (ROCm) and Apple's (MPS)."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from engine.plan.errors import inert
from engine.plan.gpus import Found, Gpu
from engine.plan.machine import memory

APPLE_SHARE = 0.75  # of the machine's memory is the most that macOS lets its GPU use, about
_CDNA_BF16, _CDNA_END, _RDNA_BF16 = 90008, 100000, 110000  # gfx908 on, and gfx1100 on, calculate in bf16


def amd(root: Path = Path("/")) -> Found | None:
    """What the kernel's compute driver (kfd) lists; None where there is none. `root`: of the file system, for tests."""
    nodes = root / "sys/class/kfd/kfd/topology/nodes"
    if not nodes.is_dir() and not (root / "dev/kfd").exists():
        return None
    gpus = []
    try:
        for node in sorted(nodes.iterdir(), key=lambda path: (len(path.name), path.name)):
            if (gpu := _amd_gpu(node, root)) is not None:
                gpus.append(gpu)
    except OSError as error:
        why = f"AMD's GPU driver is there, but does not tell of its GPUs: {error.strerror}."
        return Found("rocm", problem=why, advice="Join the groups render and video.", unsure=True)
    if not gpus:
        return Found("cpu", problem="AMD's GPU driver is there, but lists no GPU.")
    return Found("rocm", tuple(gpus))


def _amd_gpu(node: Path, root: Path) -> Gpu | None:
    """A node of kfd; None for a processor, which is one as well."""
    try:
        found = dict(line.split() for line in (node / "properties").read_text("utf-8").splitlines() if " " in line)
        target = int(found.get("gfx_target_version", 0))
        if not int(found.get("simd_count", 0)) or not target:
            return None
        minor = int(found.get("drm_render_minor", 0))
    except (OSError, ValueError):
        return None
    device = root / f"sys/class/drm/renderD{minor}/device"
    total, used = (_number(device / f"mem_info_vram_{kind}") for kind in ("total", "used"))
    chip = f"gfx{target // 10000}{target // 100 % 100:x}{target % 100:x}"
    try:
        name = inert((device / "product_name").read_text("utf-8").strip(), 100)
    except (OSError, ValueError):
        name = ""
    return Gpu(
        name or f"AMD GPU {chip}",
        "rocm",
        total,
        total - used if total is not None and used is not None else None,
        bf16=_CDNA_BF16 <= target < _CDNA_END or target >= _RDNA_BF16,
        remarks=() if total is not None else ("Its driver does not tell its memory.",),
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


def apple(system: str = sys.platform, processor: str | None = None) -> Found | None:
    """The GPU of an Apple chip, which shares the machine's memory; None elsewhere."""
    if system != "darwin" or (processor or platform.machine()) != "arm64":
        return None
    ram = memory()
    remark = "It shares the machine's memory with everything else; about three quarters of that are for the GPU."
    free = min(ram.available_bytes, int(ram.total_bytes * APPLE_SHARE))
    total = int(ram.total_bytes * APPLE_SHARE)
    return Found("mps", (Gpu(_apple_chip(), "mps", total, free, bf16=True, remarks=(remark,)),))


def _apple_chip() -> str:
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, timeout=2, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "Apple GPU"
    return inert(done.stdout.decode("utf-8", "replace").strip(), 100) or "Apple GPU"
