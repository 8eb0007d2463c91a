"""This machine's NVIDIA GPUs as their driver tells of them through NVML (nvidia-ml-py); no torch, no CUDA context.

`python -m engine.plan.nvidia` prints them as one JSON object: a driver that hangs then hangs a program that can be left
alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.plan.errors import inert
from engine.plan.gpus import BF16_CAPABILITY, Found, Gpu, MemoryUser, visible

# NVML's own numbers (nvml.h); pynvml may be missing where these are needed.
_NO_PERMISSION, _DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND, _MISMATCH, _LOST = 4, 9, 12, 18, 15

_SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/nvmap")
"""One of these is there wherever an NVIDIA driver is (dxg: Windows' Linux; nvmap: Jetson)."""

_PROBLEMS = {
    _DRIVER_NOT_LOADED: (
        "The NVIDIA driver is installed but not loaded.",
        "Restart the machine; if it stays so, install the driver again.",
    ),
    _LIBRARY_NOT_FOUND: (
        "There is an NVIDIA driver, but not its library libnvidia-ml.so.1, which tells of the GPUs.",
        "Install the driver's own packages; in a container, start it with --gpus all.",
    ),
    _MISMATCH: (
        "The NVIDIA driver was updated while an older one is still loaded, so no GPU can be used.",
        "Restart the machine.",
    ),
    _NO_PERMISSION: (
        "The NVIDIA driver refuses to tell of its GPUs: you have no permission.",
        "Ask whoever runs this machine for access to /dev/nvidia*.",
    ),
    _LOST: ("A GPU has fallen off its bus and does not answer.", "Restart the machine."),
}


def may_be_there(signs: Iterable[str] = _SIGNS) -> bool:
    """Whether this machine looks as if it had an NVIDIA driver; asking one costs a tenth of a second."""
    return any(os.path.exists(path) for path in signs)


def read(nvml: Any = None) -> Found:
    """The GPUs, in the driver's order. Never raises. `nvml`: the module pynvml, or what acts like it."""
    if nvml is None:
        try:
            nvml = import_module("pynvml")
        except ImportError:
            why = "The package nvidia-ml-py is not installed, so GPUs cannot be asked for their memory."
            return Found("cuda", problem=why, advice="pip install nvidia-ml-py", unsure=True)
    try:
        nvml.nvmlInit()
    except Exception as error:
        return _failed(error)
    try:
        gpus: list[Gpu] = []
        for index in range(nvml.nvmlDeviceGetCount()):
            gpus += _device(nvml, index)
        if not gpus:
            why = "The NVIDIA driver finds no GPU."
            return Found("cpu", driver=_driver(nvml), cuda=_cuda(nvml), problem=why, advice="Is it switched on?")
        return Found("cuda", tuple(gpus), _driver(nvml), _cuda(nvml))
    except Exception as error:  # an old driver, or a broken one, raises what nobody could list
        return _failed(error)
    finally:
        with contextlib.suppress(Exception):
            nvml.nvmlShutdown()


def _failed(error: Exception) -> Found:
    code = getattr(error, "value", None)
    if code in _PROBLEMS:
        problem, advice = _PROBLEMS[code]
    else:
        said = inert(error, 200) or type(error).__name__
        problem, advice = f"The NVIDIA driver does not answer: {said}.", "Does nvidia-smi work? If not, restart."
    return Found("cuda", problem=problem, advice=advice, unsure=code not in (_DRIVER_NOT_LOADED, _MISMATCH))


def _driver(nvml: Any) -> str:
    return inert(_text(_or_none(nvml.nvmlSystemGetDriverVersion) or ""), 40)


def _cuda(nvml: Any) -> str:
    number = _or_none(nvml.nvmlSystemGetCudaDriverVersion_v2)
    return f"{number // 1000}.{number % 1000 // 10}" if isinstance(number, int) else ""


def _device(nvml: Any, index: int) -> list[Gpu]:
    """One card, or the slices (MIG) that it was cut into; one that does not answer is still named."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except Exception as error:
        said = _PROBLEMS.get(getattr(error, "value", -1), (f"It does not answer: {inert(error, 200)}.", ""))[0]
        return [Gpu(f"GPU {index}", remarks=(said,))]
    whole = _of(nvml, handle, f"GPU {index}")
    mode = _or_none(nvml.nvmlDeviceGetMigMode, handle)
    if not mode or mode[0] != 1:
        return [whole]
    slices = []
    for number in range(_or_none(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        part = _or_none(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        if part is not None:
            found = _of(nvml, part, f"{whole.name} slice {number}")
            remark = "A slice (MIG) of a card: CUDA uses one slice at a time, the first if you name none."
            capability = found.capability or whole.capability
            remarks = (remark, *found.remarks)
            slices.append(replace(found, capability=capability, bf16=_bf16(capability), remarks=remarks))
    if not slices:
        remark = "It is switched to slices (MIG) but has none, so nothing can run on it."
        return [replace(whole, free_bytes=0, remarks=(remark, *whole.remarks))]
    return slices


def _of(nvml: Any, handle: Any, otherwise: str) -> Gpu:
    remarks = []
    total = free = None
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = int(memory.total), int(memory.free)
    except Exception as error:
        if getattr(error, "value", None) == _NO_PERMISSION:
            remarks.append("Its driver does not let you see its memory.")
        else:  # Jetson and GB10: the GPU has none of its own
            total, free = _unified()
            remarks.append(
                "It has no memory of its own that its driver tells of; it shares the machine's with the processor."
            )
    capability = _or_none(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    capability = (int(capability[0]), int(capability[1])) if capability else None
    return Gpu(
        inert(_text(_or_none(nvml.nvmlDeviceGetName, handle) or otherwise), 100),
        "cuda",
        total,
        free,
        capability,
        _bf16(capability),
        uuid=inert(_text(_or_none(nvml.nvmlDeviceGetUUID, handle) or ""), 100),
        users=_users(nvml, handle),
        remarks=tuple(remarks),
        cores=int(_or_none(nvml.nvmlDeviceGetNumGpuCores, handle) or 0),
        megahertz=int(_or_none(nvml.nvmlDeviceGetMaxClockInfo, handle, 1) or 0),  # 1: of the processors
    )


def _bf16(capability: tuple[int, int] | None) -> bool | None:
    return None if capability is None else capability >= BF16_CAPABILITY


def _unified() -> tuple[int | None, int | None]:
    from engine.plan.machine import memory

    found = memory()
    return found.total_bytes, found.available_bytes


def _users(nvml: Any, handle: Any) -> tuple[MemoryUser, ...]:
    """The programs on the card, the largest first. A container sees none of those outside."""
    taken: dict[int, int | None] = {}
    for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        for process in _or_none(ask, handle) or ():
            used = process.usedGpuMemory
            known = used if isinstance(used, int) and 0 < used < 2**50 else None  # Windows' drivers do not say
            taken[process.pid] = known if known is not None else taken.get(process.pid)
    users = [MemoryUser(pid, _program(nvml, pid), used) for pid, used in taken.items()]
    return tuple(sorted(users, key=lambda user: user.bytes or 0, reverse=True))


def _program(nvml: Any, pid: int) -> str:
    """A program's name without its folder; one of another container is nobody here."""
    with contextlib.suppress(OSError, ValueError):
        if name := Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip():
            return inert(name, 60)
    told = _or_none(nvml.nvmlSystemGetProcessName, pid)
    return inert(os.path.basename(_text(told)), 60) if told else "a program outside this container"


def _or_none(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What NVML answers. "Not supported" and its kind are no news worth a word."""
    try:
        return ask(*arguments)
    except Exception:
        return None


def _text(told: object) -> str:
    """Older versions of pynvml answer in bytes."""
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


if __name__ == "__main__":
    json.dump(visible(read(), os.environ).as_json(), sys.stdout)
