"""Starting a training from a finished LoRA instead of from nothing."""

from __future__ import annotations

import re

import torch

from engine.lora import weights
from engine.lora.network import LoraNetwork
from engine.lora.spellings import plainly, respelt
from engine.lora.weights import LoraFile
from engine.plan.errors import UserError, plural

_CONV_LAYERS = re.compile(
    r"lora_unet_.*_(in_layers_2|out_layers_3|emb_layers_1|skip_connection|op|\d_conv"
    r"|resnets_\d+_(conv1|conv2|time_emb_proj|conv_shortcut)|(down|up)samplers_0_conv)"
)
"""What `targets.unet_targets` adds with `conv`, in Stability's names and in those of diffusers."""

_SWITCHES = {
    "lora_te1_": ("text encoder 1", "train_text_encoder_1 = true"),
    "lora_te2_": ("text encoder 2", "train_text_encoder_2 = true"),
}


@torch.no_grad()
def start_from(network: LoraNetwork, file: LoraFile) -> None:
    """Put a LoRA's values into a fresh network, which then does what the file does. Layers that the file lacks stay
    fresh; ranks above the file's start as fresh ones do, with no effect.

    Raises UserError `lora-does-not-fit` for layers that are not trained here, a higher rank or other shapes.
    """
    file = respelt(file, [module.target for module in network.modules])
    modules = {module.stem: module for module in network.modules}
    weights.rank_of(file)  # says what is wrong with a file that has no layer at all
    if unknown := [stem for stem in plainly(file).stems if stem not in modules]:  # however they are spelt
        raise _not_trained(unknown)
    shape = weights.shape_of(file)
    for stem in file.stems:
        module = modules[stem]
        rank, alpha = shape(module.target) or (0, 0.0)
        down, up = (file.tensors.get(f"{stem}.lora_{side}.weight") for side in ("down", "up"))
        if rank > module.rank:
            option = "conv_dim" if module.target.conv else "network_dim"
            raise UserError(
                "lora-does-not-fit",
                f"The LoRA to start from has rank {rank} at {stem}, more than {option} = {module.rank} here.",
                f"Set {option} = {rank}.",
            )
        if down is None or up is None or _sizes(down, up) != _sizes(module.down, module.up):
            raise UserError(
                "lora-does-not-fit",
                f"The LoRA to start from does not fit this base model at {stem}.",
                "Use one that was trained on an SDXL model.",
            )
        module.down[:rank].copy_(down.reshape(rank, *module.down.shape[1:]))
        strength = (alpha / rank) / module.scale
        module.up[:, :rank].copy_(up.float().reshape(-1, rank, *module.up.shape[2:]) * strength)
    if network.average is not None:
        network.average.restart()


def _sizes(down: torch.Tensor, up: torch.Tensor) -> tuple[int, int]:
    """Inputs of one rank, and outputs; (0, 0) for what is no pair."""
    if down.ndim < 2 or up.ndim < 2 or up.flatten(1).shape[1] != down.shape[0]:
        return 0, 0
    return down[0].numel(), up.shape[0]


def _not_trained(unknown: list[str]) -> UserError:
    for prefix, (part, line) in _SWITCHES.items():
        if all(stem.startswith(prefix) for stem in unknown):
            return UserError(
                "lora-does-not-fit",
                f"The LoRA to start from also changes {part}, which is not trained here, and that would be lost.",
                f"Set {line}.",
            )
    blocks = all(map(_CONV_LAYERS.fullmatch, unknown))
    return UserError(
        "lora-does-not-fit",
        f"The LoRA to start from changes {plural(len(unknown), 'layer')} too many, such as {unknown[0]}: they are not "
        "trained here, and would be lost.",
        "Set conv_dim to its rank of convolutions." if blocks else "Use a LoRA that was trained on an SDXL model.",
    )
