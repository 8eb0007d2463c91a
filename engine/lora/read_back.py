"""Whether a LoRA file says what was trained: read back when it was written, its layers counted, its effect compared.

A wrong alpha, a missing layer or a name that nobody reads would go unnoticed otherwise: every program loads such a file
without a word, and only its pictures differ.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from engine.lora import weights
from engine.lora.network import LoraNetwork
from engine.plan.errors import UserError, plural

TOLERANCE = 0.05
"""Of the LoRA's own effect. bf16 rounds weights to 1/256, which changes the effect by well under a hundredth."""


@torch.no_grad()
def what_differs(path: Path, network: LoraNetwork, forward: Callable[[], Tensor]) -> str:
    """What is wrong with the file, as a sentence; "" where all is well.

    `forward()` is a pass through the models, the same each time it is called but for the LoRA's weights. The network is
    as it was afterwards.
    """
    try:
        file = weights.read(path)
    except UserError as error:
        return f"The LoRA {path.name} cannot be read back: {error.message}"
    stems = {module.stem for module in network.modules}
    if set(file.stems) != stems:
        return f"The LoRA {path.name} holds {plural(len(file.stems), 'layer')} in place of {len(stems)}."
    own = [flat.detach().clone() for flat in network.parameters]
    trained = forward().float()
    try:
        network.set_multiplier(0.0)
        base = forward().float()
        network.set_multiplier(1.0)
        weights.load_into(network, file)
        saved = forward().float()
    except UserError as error:
        return f"The LoRA {path.name} does not fit the models it was trained on: {error.message}"
    finally:
        network.set_multiplier(1.0)
        for flat, value in zip(network.parameters, own, strict=True):
            flat.copy_(value)
    effect, difference = (trained - base).norm(), (saved - trained).norm()
    if bool(difference > TOLERANCE * effect + 1e-4 * trained.norm()):
        share = float(difference / effect.clamp(min=1e-12))
        return f"The LoRA {path.name} does something else than what was trained: its effect is off by {share:.0%}."
    return ""
