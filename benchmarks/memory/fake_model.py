"""Full-size SDXL without weights: the real modules on tensors without numbers, treated as loaded ones are.

PyTorch without CUDA cannot even pretend to be on a GPU. So what autocast does on CUDA is imitated, switched by the
processor's autocast: products in half precision, norms in fp32 (`aten/src/ATen/autocast_mode.h`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.memory.four_bits import in_four_bits
from engine.lora import norms
from engine.models import fp8
from engine.models.attention import use_sdxl_attention
from engine.models.base_weights import store
from engine.models.checkpoint import PARTS, configs_of
from engine.models.sdxl import SDXL
from engine.plan.settings import Settings

DTYPES = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def fake_sdxl(settings: Settings, parts: Collection[str], size: str = "sdxl") -> SDXL:
    """Those of its `parts` that are on the GPU, as `engine.models.checkpoint.load` gives them, and None for the others;
    to be called within FakeTensorMode and `as_on_a_gpu`."""
    dtype = DTYPES[settings.mixed_precision]
    modules: dict[str, Any] = dict.fromkeys(PARTS)
    for part in parts:
        kind = PARTS[part]
        config = json.loads((configs_of(size) / part / "config.json").read_text(encoding="utf-8"))
        torch.set_default_dtype(torch.float32 if part == "vae" else dtype)  # fake weights cannot be exchanged later
        try:
            made = (
                kind.from_config(config) if hasattr(kind, "from_config") else kind(kind.config_class.from_dict(config))
            )
        finally:
            torch.set_default_dtype(torch.float32)
        modules[part] = made.requires_grad_(False).eval()
    if modules["unet"] is not None:
        use_sdxl_attention(modules["unet"])
        if settings.base_weights == "nf4":
            in_four_bits(modules["unet"])
        store(modules["unet"], "full" if settings.base_weights == "full" else "fp8")
    return SDXL(
        unet=modules["unet"],
        vae=modules["vae"],
        text_encoder=modules["text_encoder"],
        text_encoder_2=modules["text_encoder_2"],
        tokenizer=None,  # type: ignore[arg-type]
        scheduler_config={},
        size=size,  # type: ignore[arg-type]
        bucket_reso_steps=32,
        vae_identity="",
        text_identity="",
    )


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """What the CPU would do otherwise, and what needs a number that a fake tensor has not."""
    with ExitStack() as stack:
        for owner, name, other in (
            (F, "linear", _narrowing(F.linear)),
            (F, "conv2d", _narrowing(F.conv2d)),
            (torch, "addmm", _narrowing(torch.addmm)),
            (nn.GroupNorm, "forward", _group_norm),
            (nn.LayerNorm, "forward", _layer_norm),
            (nn.Module, "to", lambda module, *_, **__: module),  # everything is where it is needed
            (F, "scaled_dot_product_attention", flash),
            (norms, "_all_within", lambda *_: False),  # asked on the CPU only
            (fp8, "_scale", lambda _: 1.0),
            (
                fp8,
                "_precision",
                lambda x: torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype,
            ),
        ):
            stack.enter_context(patch.object(owner, name, other))
        yield


def _narrowing(product: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`product` with its tensors in the precision of autocast. Each weight is used once in a forward pass, so that
    autocast's own memory of weights, which the engine switches off, would change nothing but what is kept."""

    def narrowed(*args: Any, **kwargs: Any) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            args = tuple(arg.to(dtype) if isinstance(arg, Tensor) else arg for arg in args)
        return product(*args, **kwargs)

    return narrowed


def _precision(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _group_norm(self: nn.GroupNorm, x: Tensor) -> Tensor:
    x, weight, bias = _widened(x, self.weight, self.bias)
    return F.group_norm(x, self.num_groups, weight, bias, self.eps)


def _layer_norm(self: nn.LayerNorm, x: Tensor) -> Tensor:
    x, weight, bias = _widened(x, self.weight, self.bias)
    return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


def _widened(*tensors: Any) -> tuple[Any, ...]:
    if not torch.is_autocast_enabled("cpu"):
        return tensors
    return tuple(None if tensor is None else tensor.float() for tensor in tensors)


def flash(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention that keeps its result and a number a row, and never the matrix: flash or efficient attention."""
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    made: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
    )[0]
    return made
