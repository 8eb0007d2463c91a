"""After a training on an NVIDIA GPU: what it was predicted to need and what it did, kept for later predictions.

Never run on a GPU so far; the tests stand a driver in for one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal

import torch

from engine.plan.memory import CUDA_CONTEXT_BYTES, bill
from engine.plan.settings import Settings
from engine.runs.memory_seen import remember


def remember_peak(
    settings: Settings, size: Literal["sdxl", "micro"], buckets: Iterable[tuple[int, int]], device: torch.device
) -> None:
    """Keep the peak of this process on `device`, for full-size models; `buckets` (width, height) are those trained.

    PyTorch knows all that it took from the driver, which holes between tensors are part of; what the driver took for
    itself is set as the prediction sets it. Whatever goes wrong here is not worth a training.
    """
    if device.type != "cuda" or size != "sdxl":
        return
    try:
        largest = max(buckets, key=lambda bucket: bucket[0] * bucket[1])
        measured = torch.cuda.max_memory_reserved(device) + CUDA_CONTEXT_BYTES
        remember(torch.cuda.get_device_name(device), bill(settings, largest).peak_bytes, measured)
    except Exception:
        logging.getLogger(__name__).exception("The memory that was needed could not be kept")
