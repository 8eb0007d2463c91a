"""What a training needs with other settings, asked again and again while something is looked for that fits."""

from __future__ import annotations

from dataclasses import dataclass

from engine.plan.dataset import Dataset
from engine.plan.memory import Bill, bill_of
from engine.plan.real_batches import Epoch, Shapes
from engine.plan.settings import Settings


@dataclass(frozen=True)
class Predictor:
    """Called with settings it tells the bytes that a training of full-size SDXL cannot do without. correction: by how
    much runs on such a GPU took more than was predicted."""

    shapes: Shapes
    correction: float = 1.0

    def __call__(self, settings: Settings) -> int:
        return without_samples(self.bill(settings))

    def bill(self, settings: Settings) -> Bill:
        """The whole of it."""
        return bill_of(settings, self.shapes.batches(settings), correction=self.correction)

    def epoch(self, settings: Settings) -> Epoch | None:
        """What an epoch is made of; None where the pictures are not known."""
        return self.shapes.epoch(settings)


def predictor(settings: Settings, dataset: Dataset | None, correction: float = 1.0) -> Predictor:
    """Of the training of these pictures; `settings`: those that they were scanned with."""
    return Predictor(Shapes(settings, dataset), correction)


def without_samples(told: Bill) -> int:
    """The peak of all but the samples: those are drawn in tiles, or left out, where they do not fit, and never end a
    training."""
    return max(told.phases["caching"], told.phases["training"])
