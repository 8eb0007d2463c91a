"""Attaching a LoRA to the models, through PEFT as diffusers and transformers do it, and taking it off again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from engine.lora.dropout import Draw, Dropout, DropoutRates, LayerDropout
from engine.lora.fresh import start_afresh
from engine.lora.layer import ADAPTER, LoraConv2d, LoraLinear
from engine.lora.network import LoraModule, LoraNetwork, LoraPart
from engine.lora.targets import Target, text_targets, unet_targets
from engine.plan.trained_parts import PARTS, Part

Shape = Callable[[Target], tuple[int, float] | None]
"""Rank and alpha of the LoRA of a layer; None for a layer without one."""


@dataclass(frozen=True)
class LoraShape:
    """sd-scripts' `network_dim`, `network_alpha` and, for convolutions larger than 1x1, `conv_dim` and `conv_alpha`.

    `conv_rank` 0 leaves the residual blocks alone. Their Linear and 1x1 layers have the network's own rank.
    """

    rank: int
    alpha: float
    conv_rank: int = 0
    conv_alpha: float = 1.0

    def __call__(self, target: Target) -> tuple[int, float] | None:
        return (self.conv_rank, self.conv_alpha) if target.conv else (self.rank, self.alpha)


def attach(
    models: Mapping[Part, nn.Module],
    shape: Shape,
    seed: int,
    *,
    conv: bool = False,
    dropout: DropoutRates | None = None,
    draw: Draw | None = None,
) -> LoraNetwork:
    """Freeze `models` and give them a LoRA that changes nothing yet (ups are zero). `conv`: also the residual blocks.

    Its values are those of `fresh.start_afresh`. `dropout` needs `draw`.
    """
    parts = []
    for name in PARTS:
        if name in models:
            model = models[name]
            found = (
                text_targets(model, name) if name != "unet" else unet_targets(cast(UNet2DConditionModel, model), conv)
            )
            wanted = {target: size for target in found if (size := shape(target)) is not None}
            if wanted:
                parts.append(LoraPart(name, list(_adapted(model, wanted))))
    network = LoraNetwork(parts)
    start_afresh(network, seed)
    if dropout:
        assert draw is not None
        network.dropout = _with_dropout(network, dropout, draw)
    return network


def _adapted(model: nn.Module, wanted: Mapping[Target, tuple[int, float]]) -> Iterator[LoraModule]:
    model.requires_grad_(False)
    usual, _ = next(iter(wanted.values()))
    config = LoraConfig(
        r=usual,
        lora_alpha=1,
        target_modules=[target.name for target in wanted],
        rank_pattern={f"^{target.name}$": rank for target, (rank, _) in wanted.items() if rank != usual},
        lora_dropout=0.0,
    )
    config._register_custom_module({nn.Linear: LoraLinear, nn.Conv2d: LoraConv2d})
    cast(Any, model).add_adapter(config, adapter_name=ADAPTER)
    for target, (rank, alpha) in wanted.items():
        layer = model.get_submodule(target.name)
        assert isinstance(layer, LoraLayer)
        down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        assert down.shape[0] == rank
        down.data = torch.zeros(down.shape, device=down.device)
        up.data = torch.zeros(up.shape, device=up.device)
        layer.scaling[ADAPTER] = alpha / rank
        yield LoraModule(target, layer, down, up, alpha)


def _with_dropout(network: LoraNetwork, rates: DropoutRates, draw: Draw) -> Dropout:
    ranks = [module.rank for module in network.modules]
    dropout, start = Dropout(rates, ranks, draw), 0
    for number, (module, rank) in enumerate(zip(network.modules, ranks, strict=True)):
        cast(LoraLinear | LoraConv2d, module.layer).drop = LayerDropout(dropout, number, start, rank)
        start += rank
    return dropout


def detach(models: Mapping[Part, nn.Module]) -> None:
    """Take the LoRA off, PEFT's wrappers included: deleting the adapter would leave those, and nothing to attach to."""
    for model in models.values():
        for name, layer in list(model.named_modules()):
            if isinstance(layer, BaseTunerLayer):
                parent, _, child = name.rpartition(".")
                setattr(model.get_submodule(parent), child, layer.get_base_layer())
        for left in ("peft_config", "_hf_peft_config_loaded"):
            vars(model).pop(left, None)
