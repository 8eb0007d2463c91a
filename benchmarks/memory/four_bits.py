"""bitsandbytes' 4-bit layers on tensors without numbers: its own kernels want a GPU, or real numbers.

What is kept and what is made on the way is theirs (`bitsandbytes.nn.Linear4bit`, `autograd.MatMul4Bit`).
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.base_weights import _OUTSIDE

BLOCK, NESTED_BLOCK, TABLE = 64, 256, 1024
"""Weights that share a scale, scales that share one, and bytes of the tables that each layer keeps beside them."""


class FourBits(nn.Linear):
    """As Linear4bit with nf4 and double quantisation."""

    def forward(self, x: Tensor) -> Tensor:
        made = _Linear.apply(x.to(self.compute_dtype), self.weight, (self.out_features, self.in_features), self.bias)
        return made.to(x.dtype)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, shape: tuple[int, int], bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(packed)
        ctx.shape = shape
        return F.linear(x, _unpacked(packed, shape, x.dtype), None if bias is None else bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (packed,) = gradients, ctx.saved_tensors
        return gradient @ _unpacked(packed, ctx.shape, gradient.dtype), None, None, None


def _unpacked(packed: Tensor, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=packed.device)


def in_four_bits(unet: UNet2DConditionModel) -> None:
    """Every Linear layer inside of a block."""
    for name, layer in unet.named_modules():
        if type(layer) is nn.Linear and name.partition(".")[0] not in _OUTSIDE:
            count = layer.weight.numel()
            scales = count // BLOCK
            kept = count // 2 + scales + 4 * -(-scales // NESTED_BLOCK)
            layer.compute_dtype = layer.weight.dtype
            layer.weight = nn.Parameter(torch.empty(kept, dtype=torch.uint8), requires_grad=False)
            layer.__class__ = FourBits
