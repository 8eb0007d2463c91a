"""Where the loop gets the latents of a picture from: encoded ahead, or encoded anew each time it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.data.cache import Latent, Latents
from engine.plan.dataset import Picture


class LatentSource(Protocol):
    """The latents of a whole training."""

    def latent(self, index: int, mirrored: bool) -> Latent:
        """Of the picture with this number, on the CPU; both ways give the same to the bit."""


@dataclass(frozen=True)
class LatentsAhead:
    """Everything in memory; `mirrored` is empty where no picture is mirrored."""

    upright: Sequence[Latent]
    mirrored: Sequence[Latent] = ()

    def latent(self, index: int, mirrored: bool) -> Latent:
        return (self.mirrored if mirrored else self.upright)[index]


@dataclass(frozen=True)
class LatentsInStep:
    """Read from its file and encoded at each use, one at a time. This waits for the device; the rest of it takes far
    longer."""

    latents: Latents
    pictures: Sequence[Picture]

    def latent(self, index: int, mirrored: bool) -> Latent:
        return self.latents.encode(self.pictures[index], mirrored)
