"""Captions of many pictures in batches, which are halved where they do not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import torch

from engine.caption.captioner import Captioner, Shown
from engine.device import give_back
from engine.out_of_memory import is_out_of_memory
from engine.plan.errors import UserError

Halved = Callable[[int], None]
"""Told the new size of a batch."""


def captions(
    captioner: Captioner, pictures: Iterable[Shown], size: int, device: torch.device, halved: Halved
) -> Iterator[list[tuple[Shown, str]]]:
    """Each batch of pictures with their texts, in their order. Raises UserError "out-of-memory" where not even one
    picture fits.
    """
    source = iter(pictures)
    waiting: list[Shown] = []
    while True:
        waiting += islice(source, max(0, size - len(waiting)))
        if not waiting:
            return
        try:
            texts = captioner.caption(waiting[:size])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            texts = None  # handled outside: the error holds on to what was computed
        if texts is None:
            give_back(device)
            if size == 1:
                raise UserError(
                    "out-of-memory",
                    "Not even one picture fits into the memory with this captioner.",
                    "Set num_beams lower, choose a smaller captioner, or --device cpu.",
                )
            size //= 2
            halved(size)
            continue
        yield list(zip(waiting[:size], texts, strict=True))
        waiting = waiting[size:]
