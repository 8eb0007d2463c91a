"""Where to compute: the device is chosen and said, and refused with a reason where it would take weeks."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from engine.plan.errors import UserError

USUAL_DEVICES = "Use auto, cpu, cuda, cuda:1 or mps."


def choose(requested: str, *, full_size: bool) -> torch.device:
    """The device for a job: `requested` ("auto", "cpu", "cuda", "cuda:1", "mps") checked against what is there.

    With "auto" the first GPU is taken; without one, a full-size model is refused (the micro model runs on the CPU).
    Raises UserError.
    """
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        if full_size:
            raise UserError(
                "no-gpu",
                f"Full-size SDXL needs a GPU, and PyTorch {torch.__version__} finds none here ({_why_no_gpu()}).",
                "Rent or use a machine with an NVIDIA GPU; to train on the CPU all the same (days), add --device cpu.",
            )
        return _cpu(full_size)
    try:
        device = torch.device(requested)
    except RuntimeError as error:
        raise UserError("bad-device", f"There is no device {requested!r}.", USUAL_DEVICES) from error
    if device.type == "cpu":
        return _cpu(full_size)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise UserError(
                "no-such-gpu", f"--device {requested} was asked for, but PyTorch finds {count} GPUs ({_why_no_gpu()})."
            )
        return torch.device("cuda", device.index or 0)
    if device.type != "mps":
        raise UserError("bad-device", f"There is no training on {requested!r}.", USUAL_DEVICES)
    if not torch.backends.mps.is_available():
        raise UserError("no-such-gpu", "--device mps was asked for, but this machine has no Apple GPU.")
    return device


def _cpu(full_size: bool) -> torch.device:
    """The processor; the micro model gets one thread.

    Its tensors are too small to share (two threads gain little on two idle cores), and threads that wait for each other
    on a busy machine make it many times slower. It also makes results the same on any number of cores.
    """
    if not full_size:
        torch.set_num_threads(1)
    return torch.device("cpu")


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return "this build of PyTorch is for the CPU only"
    return "no NVIDIA driver answers"


def describe(device: torch.device) -> str:
    """The device's name for people, e.g. "NVIDIA GeForce RTX 4090 (cuda:0)" or "CPU, 2 threads"."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    if device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    return str(device)


def total_bytes(device: torch.device) -> int | None:
    """The memory of an NVIDIA or AMD GPU; None for what has none of its own."""
    return torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else None


def half(device: torch.device) -> torch.dtype:
    """The 16 bits that a device calculates in by itself: bf16, or fp16 on a CUDA GPU that only imitates bf16 (before
    compute capability 8.0), several times as slow."""
    if device.type != "cuda":
        return torch.bfloat16
    with torch.cuda.device(device):  # what is asked next is asked of the current one
        own = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if own else torch.float16


def gpu_facts(device: torch.device) -> dict[str, Any]:
    """The fields of a `gpu` event: bytes used on the card, its size, and the engine's own peak; load in %, °C, W of the
    whole card, each None where its driver does not tell (old cards, some containers).
    """
    free, total = torch.cuda.mem_get_info(device)
    milliwatts = _driver_says(torch.cuda.power_draw, device)
    return {
        "used_bytes": total - free,
        "total_bytes": total,
        "peak_bytes": torch.cuda.max_memory_allocated(device),
        "utilisation": _driver_says(torch.cuda.utilization, device),
        "celsius": _driver_says(torch.cuda.temperature, device),
        "watts": None if milliwatts is None else milliwatts / 1000,
    }


def _driver_says(ask: Callable[[torch.device], int], device: torch.device) -> int | None:
    """What NVML tells of the card. It raises errors of many kinds, and none is worth a training."""
    try:
        return ask(device)
    except Exception:
        return None


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; on a GPU the copy runs beside the computation that was queued before."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def give_back(device: torch.device) -> None:
    """Return memory that nothing uses any more to the system: the GPU's, or, where the CPU trains, the program's own.

    PyTorch takes the latter from the C library, which keeps what is freed between two things that stay: with
    full-size SDXL that came to 3 GB. Elsewhere than with glibc nothing happens.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif device.type == "cpu":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
