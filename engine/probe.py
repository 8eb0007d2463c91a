"""`python -m engine.probe`: what torch can do on this machine, for `lora-tui doctor`, as one JSON object a line.

A process of its own, because importing torch takes seconds and a broken driver or package may end or hang whoever asks.
The first object is `probe()`; then each ability is named before it is tried, and answered after, so that whoever reads
knows which one ended the process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any


def probe() -> dict[str, Any]:
    """`torch`: its version. `cuda`: the CUDA version it was built for, or null. `hip`: of AMD's. `gpus`: name, bytes,
    compute capability, whether it calculates in bf16 itself, and `problem`, "" for one that calculates. `mps`: whether
    there is an Apple GPU. `why`: the reason where there is neither.
    """
    import torch

    from engine.device import _why_no_gpu

    gpus = [_gpu(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = torch.backends.mps.is_available()
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "gpus": gpus,
        "mps": mps,
        "why": "" if gpus or mps else _why_no_gpu(),
    }


def _gpu(index: int) -> dict[str, Any]:
    """One card, and whether it really multiplies: a torch without kernels for it still lists it."""
    import torch

    found: dict[str, Any] = {"name": torch.cuda.get_device_name(index), "problem": ""}
    try:
        found["capability"] = list(torch.cuda.get_device_capability(index))
        found["bf16"] = torch.cuda.is_bf16_supported(including_emulation=False)
        found["free_bytes"], found["total_bytes"] = torch.cuda.mem_get_info(index)
        ones = torch.ones(8, 8, device=f"cuda:{index}", dtype=torch.float16)
        if (ones @ ones)[0, 0].item() != 8:
            found["problem"] = "it calculates wrongly"
    except RuntimeError as error:
        found["problem"] = str(error).splitlines()[0]
    return found


class NotInstalledError(Exception):
    """A package that an ability needs is not there."""


def abilities() -> Mapping[str, Callable[[], None]]:
    """What is tried on the device that a training would take, by its name: there and back, with small tensors."""
    from functools import partial

    from torch.nn.attention import SDPBackend

    kernels = {
        "flash": SDPBackend.FLASH_ATTENTION,
        "efficient": SDPBackend.EFFICIENT_ATTENTION,
        "cudnn": SDPBackend.CUDNN_ATTENTION,
        "math": SDPBackend.MATH,
    }
    tried: dict[str, Callable[[], None]] = {f"sdpa {name}": partial(_sdpa, kernel) for name, kernel in kernels.items()}
    return tried | {"xformers": _xformers, "fp8": _fp8, "nf4": _nf4, "AdamW8bit": _adamw8bit}


def _device() -> Any:
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda:0")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _half() -> Any:
    from engine.device import half

    return half(_device())


def _heads() -> Any:
    """(batch 1, heads 2, tokens 64, channels 64), as SDXL's are."""
    import torch

    return torch.zeros(1, 2, 64, 64, device=_device(), dtype=_half(), requires_grad=True)


def _sdpa(kernel: Any) -> None:
    from torch.nn.attention import sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    heads = _heads()
    with sdpa_kernel(kernel):
        scaled_dot_product_attention(heads, heads, heads).sum().backward()
    _finish()


def _xformers() -> None:
    _needs("xformers")
    from engine.models.attention import XformersAttention

    heads = _heads()
    XformersAttention().mixed(heads, heads, heads, None).sum().backward()
    _finish()


def _fp8() -> None:
    from torch import nn

    from engine.models.fp8 import store_in_fp8

    _layer_there_and_back(nn.Linear(64, 64), store_in_fp8)


def _nf4() -> None:
    _needs("bitsandbytes")
    import torch
    from bitsandbytes.nn import LinearNF4

    layer = LinearNF4(64, 64, bias=False, compute_dtype=_half()).to(_device())
    x = torch.zeros(4, 64, device=_device(), dtype=_half(), requires_grad=True)
    layer(x).sum().backward()
    _finish()


def _layer_there_and_back(layer: Any, change: Callable[[Any], None]) -> None:
    import torch

    layer = layer.to(dtype=_half())
    change(layer)
    layer = layer.to(_device())
    layer(torch.zeros(4, 64, device=_device(), dtype=_half(), requires_grad=True)).sum().backward()
    _finish()


def _adamw8bit() -> None:
    _needs("bitsandbytes")
    import torch
    from bitsandbytes.optim import AdamW8bit

    weights = torch.nn.Parameter(torch.zeros(8192, device=_device()))
    weights.grad = torch.ones_like(weights)
    AdamW8bit([weights], lr=1e-4).step()
    _finish()


def _needs(package: str) -> None:
    if find_spec(package) is None:
        raise NotInstalledError(package)


def _finish() -> None:
    """Wait for the GPU: what goes wrong there is said only then."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    _say(probe())
    for name, attempt in abilities().items():
        _say({"trying": name})
        try:
            attempt()
        except NotInstalledError as missing:
            _say({"ability": name, "works": False, "missing": str(missing), "why": ""})
        except Exception as error:  # of which a stranger's package has many kinds
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            _say({"ability": name, "works": False, "missing": "", "why": why[:300]})
        else:
            _say({"ability": name, "works": True, "missing": "", "why": ""})


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
