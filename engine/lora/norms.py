"""Keeping a LoRA's weights small: sd-scripts' `scale_weight_norms`, without its 722 full products and syncs a step.

sd-scripts (`networks/lora.py:apply_max_norm_regularization`) multiplies out every up·down, which for SDXL are matrices
of up to 10240 x 1280. The Frobenius norm needs only r x r ones: ‖up·down‖² = tr((upᵀup)(down·downᵀ)).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vector_norm

from engine.lora.network import LoraNetwork, ShapeGroup


def _norms(group: ShapeGroup) -> Tensor:
    """‖alpha/rank · up·down‖_F of n stacked modules, (n,). (Of a convolution: the norm of its whole kernel.)"""
    downs, ups = group.downs, group.ups
    gram = torch.bmm(ups.transpose(1, 2), ups).mul_(torch.bmm(downs, downs.transpose(1, 2)))
    return gram.sum(dim=(1, 2)).clamp_(min=0).sqrt_().mul_(abs(group.scale))


@torch.no_grad()
def weight_norms(network: LoraNetwork) -> Tensor:
    """The norm of each module's whole change ‖alpha/rank · up·down‖_F, (n,), in the order of `network.modules`."""
    return torch.cat([_norms(group) for group in network.groups])


@torch.no_grad()
def apply_max_norm_(network: LoraNetwork, maximum: float) -> None:
    """Scale down, in place, every module whose norm exceeds `maximum`; both factors take the square root of it.

    The clamp from below only keeps an all-zero module from dividing by zero: up to `maximum` the ratio is exactly 1.
    Where asking the device costs nothing, most steps end at a bound that is cheaper than the norms.
    """
    if network.parameters[0].device.type == "cpu" and _all_within(network, maximum):
        return
    for group in network.groups:
        norm = _norms(group)
        ratio = (maximum / norm.clamp(min=maximum / 2)).clamp_(max=1.0)
        root = ratio.sqrt()[:, None, None]
        group.downs.mul_(root)
        group.ups.mul_(root)


def _all_within(network: LoraNetwork, maximum: float) -> bool:
    """Whether ‖up‖·‖down‖, which ‖up·down‖ cannot exceed, is within `maximum` everywhere; waits for the device."""
    bounds = [
        vector_norm(group.ups, dim=(1, 2)) * vector_norm(group.downs, dim=(1, 2)) * abs(group.scale)
        for group in network.groups
    ]
    return bool(torch.cat(bounds).max() <= maximum)
