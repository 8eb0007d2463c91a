"""The adapted layers: PEFT's, with a forward pass of three products and nothing else.

PEFT's own forward also casts the input to fp32 and back under mixed precision, multiplies by the scale and adds, each a
pass over the layer's whole output; here scale and sum are part of the last product. It makes 722 such layers a third
cheaper to launch, and gives the same numbers (more exact ones in bf16, where the sum happens inside the product).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora import Conv2d, Linear
from torch import Tensor
from torch.nn import functional as F

from engine.lora.dropout import LayerDropout

ADAPTER = "default"


@dataclass
class Switch:
    """One for all layers of a network. While it is off they are the base model's own, at the cost of one look each."""

    off: bool = False


class LoraLinear(Linear):
    """y = W·x + b + scale · up(drop(down(x))), for the one adapter that training has. x: (..., in), y: (..., out)."""

    drop: LayerDropout | None = None
    switch: Switch = Switch()

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        result = self.base_layer(x)
        scale = self.scaling[ADAPTER]
        if scale == 0 or self.switch.off:
            return result
        low = F.linear(x, self.lora_A[ADAPTER].weight)
        if self.drop is not None and self.training:
            low = self.drop(low)
        up = self.lora_B[ADAPTER].weight
        adapted = torch.addmm(result.flatten(0, -2), low.flatten(0, -2), up.t(), alpha=scale)
        return adapted.view(result.shape)


class LoraConv2d(Conv2d):
    """The same for a convolution: down has the layer's own kernel and stride, up is 1x1. x: (B, in, h, w)."""

    drop: LayerDropout | None = None
    switch: Switch = Switch()

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        result = self.base_layer(x)
        scale = self.scaling[ADAPTER]
        if scale == 0 or self.switch.off:
            return result
        layer = self.base_layer
        low = F.conv2d(x, self.lora_A[ADAPTER].weight, None, layer.stride, layer.padding, layer.dilation)
        if self.drop is not None and self.training:
            low = self.drop(low)
        return result.add(F.conv2d(low, self.lora_B[ADAPTER].weight), alpha=scale)
