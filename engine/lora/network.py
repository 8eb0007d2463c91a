"""The LoRA network: which layers get one, how it is attached, and the two flat buffers that hold it.

Attached through PEFT, as diffusers does it. All downs are views into one flat fp32 parameter and all ups into another,
ordered so that modules of one shape lie next to each other: the optimizer, gradient clipping and the max-norm then work
on two tensors and a few batched products instead of on 1,400 small ones. Two buffers rather than one, because Prodigy
stores the starting point of an all-zero tensor (the ups) as a single number.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from engine.lora.layer import ADAPTER, LoraLinear
from engine.lora.names import unet_stem

_ALIGNMENT = 16  # elements, so that every view starts on a 64-byte boundary, as matrix kernels like it


@dataclass(frozen=True)
class LoraModule:
    """One adapted layer. `down`: (rank, in), `up`: (out, rank), both fp32 views into the network's buffers."""

    stem: str
    layer: LoraLayer
    down: nn.Parameter
    up: nn.Parameter


@dataclass(frozen=True)
class ShapeGroup:
    """All modules of one shape as stacked views: `downs` (n, rank, in), `ups` (n, out, rank)."""

    downs: Tensor
    ups: Tensor


class LoraNetwork:
    """A LoRA on a U-Net.

    `downs` and `ups` are the only trainable parameters; their `.grad` is allocated once and filled in place by
    autograd, so it must be zeroed (`zero_grad`), never set to None. The LoRA's output is scaled by `alpha / rank`.
    """

    def __init__(self, modules: list[LoraModule], rank: int, alpha: float) -> None:
        self.rank, self.alpha = rank, alpha
        shapes: defaultdict[tuple[int, int], list[LoraModule]] = defaultdict(list)
        for module in modules:
            shapes[module.down.shape[1], module.up.shape[0]].append(module)
        self.modules = [m for group in shapes.values() for m in group]
        self.downs, self.ups = (
            self._flatten([m.down for m in self.modules]),
            self._flatten([m.up for m in self.modules]),
        )
        self.groups = [
            ShapeGroup(self._stacked(self.downs, [m.down for m in g]), self._stacked(self.ups, [m.up for m in g]))
            for g in shapes.values()
        ]

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [self.downs, self.ups]

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    def zero_grad(self) -> None:
        for flat in self.parameters:
            assert flat.grad is not None
            flat.grad.zero_()

    def set_multiplier(self, multiplier: float) -> None:
        """Strength of the LoRA when pictures are made: 1 as trained, 0 exactly the base model."""
        for module in self.modules:
            module.layer.scaling[ADAPTER] = self.scale * multiplier

    @staticmethod
    def _flatten(weights: list[nn.Parameter]) -> nn.Parameter:
        """Move `weights` into one flat parameter, values kept; each becomes a view of it, and its gradient too."""
        starts, total = [], 0
        for weight in weights:
            starts.append(total)
            total += -(-weight.numel() // _ALIGNMENT) * _ALIGNMENT
        device = weights[0].device
        flat = nn.Parameter(torch.zeros(total, dtype=torch.float32, device=device))
        flat.grad = torch.zeros_like(flat)
        for start, weight in zip(starts, weights, strict=True):
            view = flat.data[start : start + weight.numel()].view(weight.shape)
            view.copy_(weight.data)
            weight.data = view
            weight.grad = flat.grad[start : start + weight.numel()].view(weight.shape)
        return flat

    @staticmethod
    def _stacked(flat: nn.Parameter, weights: list[nn.Parameter]) -> Tensor:
        rows, columns = weights[0].shape
        step = -(-rows * columns // _ALIGNMENT) * _ALIGNMENT
        start = weights[0].data.storage_offset()
        return flat.data.as_strided((len(weights), rows, columns), (step, columns, 1), start)


def targets(unet: UNet2DConditionModel) -> Iterator[str]:
    """Names of the layers that sd-scripts' default LoRA trains: all Linear layers of every attention block.

    proj_in and proj_out, the queries, keys, values and outputs of both attentions and both feed-forward layers; 722 in
    SDXL (sd-scripts: `networks/lora.py`, `UNET_TARGET_REPLACE_MODULE`).
    """
    for block_name, block in unet.named_modules():
        if isinstance(block, Transformer2DModel):
            for name, layer in block.named_modules():
                if isinstance(layer, nn.Linear):
                    yield f"{block_name}.{name}"


def attach(unet: UNet2DConditionModel, rank: int, alpha: float, seed: int) -> LoraNetwork:
    """Freeze `unet` and give it a LoRA that changes nothing yet (ups are zero).

    Downs start uniform in ±1/sqrt(in) (Kaiming with a = √5, as sd-scripts' `LoRAModule`), drawn on the CPU from `seed`
    alone, so every machine starts from the same values.
    """
    unet.requires_grad_(False)
    names = list(targets(unet))
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=names, lora_dropout=0.0)
    config._register_custom_module({nn.Linear: LoraLinear})
    unet.add_adapter(config, adapter_name=ADAPTER)
    generator = torch.Generator().manual_seed(seed)
    modules = []
    for name in names:
        layer = unet.get_submodule(name)
        assert isinstance(layer, LoraLayer)
        down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        bound = 1 / math.sqrt(down.shape[1])
        start = torch.empty(down.shape).uniform_(-bound, bound, generator=generator)
        down.data = start.to(device=down.device)
        up.data = torch.zeros(up.shape, device=up.device)
        modules.append(LoraModule(unet_stem(name, unet.config["layers_per_block"]), layer, down, up))
    return LoraNetwork(modules, rank, alpha)


def detach(unet: UNet2DConditionModel) -> None:
    """Take the LoRA off, PEFT's wrappers included: deleting the adapter would leave those, and nothing to attach to."""
    unet.unload_lora()
