"""Lion: steps of one size whose direction is the sign of a moving average (Chen et al. 2023, arXiv:2302.06675).

Its own few lines, as torch has none and the packages that do are not needed for anything else here. It is elementwise,
so it works on the LoRA's two flat buffers, with a handful of operations a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of the paper, for every parameter θ with gradient g, average m (0 at first), rate η and decay λ:

    θ ← θ - η (sign(β₁ m + (1 - β₁) g) + λ θ), then m ← β₂ m + (1 - β₂) g.

    Raises ValueError for a negative rate or decay, or a beta outside of [0, 1).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or weight_decay < 0:
            raise ValueError("lr and weight_decay must not be negative")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError("betas must be two numbers from 0 to below 1")
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rate, (first, second) = group["lr"], group["betas"]
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["exp_avg"] = torch.zeros_like(parameter)
                average = state["exp_avg"]
                direction = torch.lerp(gradient, average, first).sign_()
                if group["weight_decay"]:
                    parameter.mul_(1 - rate * group["weight_decay"])
                parameter.add_(direction, alpha=-rate)
                average.lerp_(gradient, 1 - second)
        return loss
