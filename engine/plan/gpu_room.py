"""How much of a GPU a training can have, and from where on it fits only just: the one measure for all who say so."""

from __future__ import annotations

from engine.plan.gpus import Gpu

TIGHT_SHARE = 0.95
"""Of the room; above it fragments may not fit, and Windows' driver goes on in the slow memory of the machine."""


def room(gpu: Gpu) -> int | None:
    """The bytes that a training can have on a GPU now, or on an idle one elsewhere; None where nobody tells."""
    return gpu.free_bytes if gpu.free_bytes is not None else gpu.total_bytes


def with_some_to_spare(there: int) -> int:
    """The most bytes of a room that are no tight fit."""
    return int(TIGHT_SHARE * there)


def fits_tightly(needs: int, there: int) -> bool:
    """Whether it fits only just."""
    return with_some_to_spare(there) < needs <= there
