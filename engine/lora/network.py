"""The LoRA network: the two flat buffers of each model that hold it.

All downs of a model are views into one flat fp32 parameter and all ups into another, ordered so that modules of one
shape lie next to each other: the optimizer, gradient clipping and the max-norm then work on two tensors and a few
batched products instead of on 1,400 small ones. Two buffers rather than one, because Prodigy stores the starting point
of an all-zero tensor (the ups) as a single number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from engine.lora.average import Average
from engine.lora.dropout import Dropout
from engine.lora.layer import ADAPTER, LoraConv2d, LoraLinear, Switch
from engine.lora.targets import Target
from engine.plan.trained_parts import Part

_ALIGNMENT = 16  # elements, so that every view starts on a 64-byte boundary, as matrix kernels like it


@dataclass(frozen=True)
class LoraModule:
    """One adapted layer, whose LoRA counts alpha / rank.

    `down`: (rank, in) or (rank, in, k, k), `up`: (out, rank) or (out, rank, 1, 1), both fp32 views into its model's
    buffers.
    """

    target: Target
    layer: LoraLayer
    down: nn.Parameter
    up: nn.Parameter
    alpha: float

    @property
    def stem(self) -> str:
        return self.target.stem

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


@dataclass(frozen=True)
class ShapeGroup:
    """All modules of one shape and scale as stacked views: `downs` (n, rank, in · k · k), `ups` (n, out, rank)."""

    downs: Tensor
    ups: Tensor
    scale: float


class LoraPart:
    """The LoRA of one model.

    `downs` and `ups` are its only trainable parameters; their `.grad` is allocated once and filled in place by
    autograd, so it must be zeroed, never set to None. `modules` are in the order in which they lie there, `as_given`
    in the model's own.
    """

    def __init__(self, name: Part, modules: Sequence[LoraModule]) -> None:
        self.name, self.as_given = name, list(modules)
        alike: defaultdict[tuple[Any, ...], list[LoraModule]] = defaultdict(list)
        for module in modules:
            alike[module.down.shape, module.up.shape, module.alpha].append(module)
        self.modules = [m for group in alike.values() for m in group]
        self.downs, self.ups = _flatten([m.down for m in self.modules]), _flatten([m.up for m in self.modules])
        self.groups = [
            ShapeGroup(_stacked(self.downs, [m.down for m in g]), _stacked(self.ups, [m.up for m in g]), g[0].scale)
            for g in alike.values()
        ]

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [self.downs, self.ups]


class LoraNetwork:
    """A LoRA on one or more of a base model's parts.

    `dropout`: what the layers drop while they are trained. `average`: the running average that is saved in place of the
    weights themselves, where there is one.
    """

    def __init__(self, parts: Sequence[LoraPart]) -> None:
        self.parts = list(parts)
        self.dropout: Dropout | None = None
        self.average: Average | None = None
        self._switch = Switch()
        for module in self.modules:
            cast(LoraLinear | LoraConv2d, module.layer).switch = self._switch

    @property
    def modules(self) -> list[LoraModule]:
        return [module for part in self.parts for module in part.modules]

    @property
    def groups(self) -> list[ShapeGroup]:
        return [group for part in self.parts for group in part.groups]

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [flat for part in self.parts for flat in part.parameters]

    def zero_grad(self) -> None:
        for flat in self.parameters:
            assert flat.grad is not None
            flat.grad.zero_()

    def set_multiplier(self, multiplier: float) -> None:
        """Strength of the LoRA when pictures are made: 1 as trained, 0 exactly the base model."""
        for module in self.modules:
            module.layer.scaling[ADAPTER] = module.scale * multiplier

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Meanwhile the models are exactly the base models; nothing is copied or moved."""
        self._switch.off = True
        try:
            yield
        finally:
            self._switch.off = False

    def as_saved(self) -> AbstractContextManager[None]:
        """Meanwhile the weights are those that are saved and drawn with."""
        return self.average.worn() if self.average is not None else nullcontext()

    def values(self) -> dict[str, Tensor]:
        """The buffers by name: `unet.downs`, `unet.ups`, `text_encoder_1.downs` …, and `average.unet.downs` …"""
        names = [f"{part.name}.{side}" for part in self.parts for side in ("downs", "ups")]
        found = dict(zip(names, (flat.detach() for flat in self.parameters), strict=True))
        if self.average is not None:
            found |= {f"average.{name}": value for name, value in zip(names, self.average.values, strict=True)}
        return found

    @torch.no_grad()
    def set_values(self, values: Mapping[str, Tensor]) -> None:
        """Put back what `values` gave. Raises KeyError or RuntimeError where it is of another network."""
        for name, own in self.values().items():
            own.copy_(values[name])


def _flatten(weights: Sequence[nn.Parameter]) -> nn.Parameter:
    """Move `weights` into one flat parameter, values kept; each becomes a view of it, and its gradient too."""
    starts, total = [], 0
    for weight in weights:
        starts.append(total)
        total += -(-weight.numel() // _ALIGNMENT) * _ALIGNMENT
    flat = nn.Parameter(torch.zeros(total, dtype=torch.float32, device=weights[0].device))
    flat.grad = torch.zeros_like(flat)
    for start, weight in zip(starts, weights, strict=True):
        view = flat.data[start : start + weight.numel()].view(weight.shape)
        view.copy_(weight.data)
        weight.data = view
        weight.grad = flat.grad[start : start + weight.numel()].view(weight.shape)
    return flat


def _stacked(flat: nn.Parameter, weights: Sequence[nn.Parameter]) -> Tensor:
    rows, columns = weights[0].flatten(1).shape
    step = -(-rows * columns // _ALIGNMENT) * _ALIGNMENT
    start = weights[0].data.storage_offset()
    return flat.data.as_strided((len(weights), rows, columns), (step, columns, 1), start)
