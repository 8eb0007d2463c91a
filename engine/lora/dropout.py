"""Dropout inside a LoRA while it is trained: of single values, of ranks, of whole layers.

As in sd-scripts (`networks/lora.py:LoRAModule.forward`), except for where the random numbers come from: here each is a
function of seed, step and the sample's place in the step, so that neither a split batch nor a resumed run nor gradient
checkpointing, which runs a forward pass twice, sees others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Draw = Callable[[str, int, int], int]
"""(stream, step, position) to a number in 0..2⁶³−1."""
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class DropoutRates:
    """Shares 0..1. `network`: of the values between down and up, `rank`: of the ranks, `module`: of the layers; the
    first two make up for what is missing by 1 / (1 - share)."""

    network: float = 0.0
    rank: float = 0.0
    module: float = 0.0

    def __bool__(self) -> bool:
        return any((self.network, self.rank, self.module))


class Dropout:
    """What is dropped in one forward pass (`begin`), for all layers of a network; `ranks` are theirs, in order."""

    def __init__(self, rates: DropoutRates, ranks: Sequence[int], draw: Draw) -> None:
        self.rates, self._draw = rates, draw
        self._ranks = torch.tensor(ranks)
        self.kept: Tensor | None = None  # (B, sum of all ranks), on the device: what each rank is multiplied by
        self.keys: list[int] = []  # one a sample, for what is drawn on the device

    def begin(self, step: int, positions: Sequence[int], device: torch.device) -> None:
        """Draw for the samples at these places of an optimizer step; they are the batch of all forward passes until
        the next call. Nothing waits for the device."""
        rates = self.rates
        if rates.network:
            self.keys = [self._draw("network dropout", step, position) for position in positions]
        if rates.rank or rates.module:
            rows = torch.stack([self._row(step, position) for position in positions])
            if device.type == "cuda":
                rows = rows.pin_memory()
            self.kept = rows.to(device, non_blocking=True)

    def _row(self, step: int, position: int) -> Tensor:
        def uniform(stream: str, count: int) -> Tensor:
            generator = torch.Generator().manual_seed(self._draw(stream, step, position))
            return torch.rand(count, generator=generator)

        row = torch.ones(int(self._ranks.sum()))
        if self.rates.rank:
            row = (uniform("rank dropout", row.numel()) >= self.rates.rank) / (1 - self.rates.rank)
        if self.rates.module:
            kept = uniform("module dropout", len(self._ranks)) >= self.rates.module
            row = row * kept.repeat_interleave(self._ranks)
        return row


class LayerDropout:
    """One layer's share of it. `number`: of the layer, `start`: of its first rank among all."""

    def __init__(self, of: Dropout, number: int, start: int, rank: int) -> None:
        self._of, self._number, self._ranks = of, number, slice(start, start + rank)

    def __call__(self, low: Tensor) -> Tensor:
        """`low` between down and up: (B, rank), (B, ..., rank) of a Linear or (B, rank, h, w) of a convolution; B may
        be a multiple of the samples (a long caption is several rows of the text encoder)."""
        of, ranks_last = self._of, low.ndim < 4
        if of.rates.network:
            low = low * self._elements(low)
        if of.kept is not None:
            kept = of.kept[:, self._ranks].to(low.dtype)
            kept = kept.repeat_interleave(low.shape[0] // kept.shape[0], dim=0)
            low = low * (kept.view(kept.shape[0], *[1] * (low.ndim - 2), -1) if ranks_last else kept[:, :, None, None])
        return low

    def _elements(self, low: Tensor) -> Tensor:
        kept, share = torch.empty_like(low, requires_grad=False), 1 - self._of.rates.network
        generator = torch.Generator(low.device)
        rows = low.shape[0] // len(self._of.keys)
        for place, key in enumerate(self._of.keys):
            generator.manual_seed((key + self._number) & _LARGEST)
            kept[place * rows : (place + 1) * rows].bernoulli_(share, generator=generator)
        return kept.div_(share)
