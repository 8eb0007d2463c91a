"""`python -m engine.probe`: what torch can do on this machine, as one JSON object, for `lora-tui doctor`.

A process of its own, because importing torch takes seconds and a broken driver may end or hang whoever asks.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def probe() -> dict[str, Any]:
    """`torch`: its version. `cuda`: the CUDA version it was built for, or null. `gpus`: name, bytes and `problem`, ""
    for one that calculates. `mps`: whether there is an Apple GPU. `why`: the reason where there is neither.
    """
    import torch

    from engine.device import _why_no_gpu

    gpus = [_gpu(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = torch.backends.mps.is_available()
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "gpus": gpus,
        "mps": mps,
        "why": "" if gpus or mps else _why_no_gpu(),
    }


def _gpu(index: int) -> dict[str, Any]:
    """One card, and whether it really multiplies: a torch without kernels for it still lists it."""
    import torch

    found: dict[str, Any] = {"name": torch.cuda.get_device_name(index), "problem": ""}
    try:
        found["free_bytes"], found["total_bytes"] = torch.cuda.mem_get_info(index)
        ones = torch.ones(8, 8, device=f"cuda:{index}", dtype=torch.float16)
        if (ones @ ones)[0, 0].item() != 8:
            found["problem"] = "it calculates wrongly"
    except RuntimeError as error:
        found["problem"] = str(error).splitlines()[0]
    return found


if __name__ == "__main__":
    json.dump(probe(), sys.stdout)
