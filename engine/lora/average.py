"""A running average of a LoRA's weights (EMA), which is smoother than the weights after any one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Of the flat buffers `parameters`; `decay` 0..1 is the share of what was before."""

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.decay = decay
        self._parameters = list(parameters)
        self.values = [flat.detach().clone() for flat in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step `step`, from 1.

        Early on the average follows faster, min(decay, (1 + n) / (10 + n)) after n steps, as otherwise it would stay
        near its start (diffusers: `EMAModel.get_decay`).
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [flat.detach() for flat in self._parameters], 1 - decay)

    @torch.no_grad()
    def restart(self) -> None:
        """Begin anew from the weights as they are now."""
        for value, flat in zip(self.values, self._parameters, strict=True):
            value.copy_(flat)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Meanwhile the network has the averaged weights: what is saved and drawn is the average."""
        own: list[Tensor] = [flat.detach().clone() for flat in self._parameters]
        self._put(self.values)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: Sequence[Tensor]) -> None:
        for flat, value in zip(self._parameters, values, strict=True):
            flat.copy_(value)
