"""Layers whose weights are kept in 8 bits (float8 e4m3) and turned into the precision of the calculation at each use.

diffusers' own way, layerwise casting, is for drawing only: once a layer is done its weights are 8 bits again, and the
backward pass, which needs them a second time, stops with an error. Here the product itself does the turning, forward
and backward, so that nothing but the 8 bits is kept in between.

Only the storage is 8 bits: any card can do it. Weights are divided by a power of two before, one for each layer, which
is exact in every precision; without it weights below 1/64, of which SDXL has many, would lose most of their digits.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

STORED = torch.float8_e4m3fn
_LARGEST = 8  # weights are brought below 2^8; the largest number of e4m3 is 448


class Fp8Linear(nn.Linear):
    """As nn.Linear: x (..., in), y (..., out); the weight is `scale` times what is stored."""

    scale: float

    def forward(self, x: Tensor) -> Tensor:
        dtype = _precision(x)
        bias = None if self.bias is None else self.bias.to(dtype)
        return cast(Tensor, _Linear.apply(x.to(dtype), self.weight, self.scale, bias))


class Fp8Conv2d(nn.Conv2d):
    """As nn.Conv2d with zeros as padding: x (B, in, h, w)."""

    scale: float

    def forward(self, x: Tensor) -> Tensor:
        dtype = _precision(x)
        bias = None if self.bias is None else self.bias.to(dtype)
        shape = (self.stride, self.padding, self.dilation, self.groups)
        return cast(Tensor, _Conv2d.apply(x.to(dtype), self.weight, self.scale, bias, shape))


KINDS: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: Fp8Linear, nn.Conv2d: Fp8Conv2d}


def store_in_fp8(layer: nn.Module) -> None:
    """Turn an nn.Linear or nn.Conv2d, itself and where it is, into one that keeps its weight in 8 bits."""
    own = cast(Any, layer)
    own.scale = _scale(own.weight)
    own.weight = nn.Parameter((own.weight.detach() / own.scale).to(STORED), requires_grad=False)
    own.__class__ = KINDS[type(layer)]


def _scale(weight: Tensor) -> float:
    """The power of two by which the stored weight is multiplied; 1 for a weight of zeros or of no numbers."""
    largest = float(weight.detach().abs().max())
    return math.ldexp(1.0, math.frexp(largest)[1] - _LARGEST) if 0 < largest < math.inf else 1.0


def _precision(x: Tensor) -> torch.dtype:
    """What a product with `x` is calculated in; inside of a function of our own, autocast would not say."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _weight(stored: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
    return stored.to(dtype).mul_(scale)


class _Linear(torch.autograd.Function):
    """Gradients flow to x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stored: Tensor, scale: float, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(stored)
        ctx.scale = scale
        return F.linear(x, _weight(stored, scale, x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (stored,) = gradients, ctx.saved_tensors
        return gradient @ _weight(stored, ctx.scale, gradient.dtype), None, None, None


class _Conv2d(torch.autograd.Function):
    """Gradients flow to x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stored: Tensor, scale: float, bias: Tensor | None, shape: Any) -> Tensor:
        ctx.save_for_backward(stored)
        ctx.scale, ctx.shape, ctx.size = scale, shape, x.shape
        return F.conv2d(x, _weight(stored, scale, x.dtype), bias, *shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (stored,) = gradients, ctx.saved_tensors
        weight = _weight(stored, ctx.scale, gradient.dtype)
        return conv2d_input(ctx.size, weight, gradient, *ctx.shape), None, None, None, None
