"""The values that a LoRA has before it is trained; they can be drawn again at any time."""

from __future__ import annotations

import math

import torch

from engine.lora.network import LoraNetwork
from engine.plan.trained_parts import PARTS


@torch.no_grad()
def start_afresh(network: LoraNetwork, seed: int) -> None:
    """Ups are zero: nothing is changed yet. Downs are uniform in ±1/sqrt(inputs) (Kaiming with a = √5, as sd-scripts'
    `LoRAModule`), drawn on the CPU from `seed` and the model's place alone, so every machine starts from the same ones.
    """
    for part in network.parts:
        generator = torch.Generator().manual_seed(seed + PARTS.index(part.name))
        for module in part.as_given:
            bound = 1 / math.sqrt(module.down[0].numel())
            module.down.copy_(torch.empty(module.down.shape).uniform_(-bound, bound, generator=generator))
            module.up.zero_()
    if network.average is not None:
        network.average.restart()
