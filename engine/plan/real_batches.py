"""Which batches a training really has: a batch holds one shape only, so that where few pictures have a shape it is
smaller than what was asked for. What needs memory and time is what occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.plan.buckets import BucketRules
from engine.plan.dataset import Dataset
from engine.plan.errors import plural
from engine.plan.settings import Settings
from engine.plan.steps import batches_per_epoch

Size = tuple[int, int]
Batch = tuple[Size, int]
"""(width, height) of a bucket, and how many of its pictures a process has at once."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch is made of. counts: its pictures by (width, height), repeats counted, of at least one size.

    batch_size: as it was asked for, of each of the `processes`. accumulation: batches of an optimizer step.
    """

    counts: Mapping[Size, int]
    batch_size: int
    processes: int = 1
    accumulation: int = 1

    @classmethod
    def of(cls, settings: Settings, counts: Mapping[Size, int]) -> Epoch:
        """With the batches that the settings ask for."""
        return cls(counts, settings.train_batch_size, settings.num_processes, settings.gradient_accumulation_steps)

    @property
    def largest_of_each(self) -> list[Batch]:
        """The largest batch of each size; a picture that is left over of a batch is one process's."""
        return [(size, -(-min(count, self._together) // self.processes)) for size, count in self.counts.items()]

    @property
    def largest_batch(self) -> int:
        """The most pictures that a process ever has at once."""
        return max(pictures for _, pictures in self.largest_of_each)

    @property
    def pictures(self) -> int:
        """Those that are trained in it, repeats counted."""
        return sum(self.counts.values())

    @property
    def batches(self) -> int:
        """Of all processes together."""
        return batches_per_epoch(self.counts, self._together)

    @property
    def steps(self) -> int:
        """Of the optimizer; the last one may have fewer batches."""
        return -(-self.batches // self.accumulation)

    @property
    def in_words(self) -> str:
        """A sentence on what was asked for and cannot occur; "" where it does."""
        most, fullest = self.largest_batch, max(self.counts.values())
        if most >= self.batch_size:
            return ""
        if self.processes > 1:
            return f"A GPU has at most {most} at once, as no shape has more than {fullest} pictures."
        return f"Batches have at most {plural(most, 'picture')}, as no shape has more."

    @property
    def _together(self) -> int:
        return self.batch_size * self.processes


def telling(batches: Iterable[Batch]) -> list[Batch]:
    """Those that any part of a training can need most memory for: none has both fewer pictures and smaller ones than
    another. Few remain, however many shapes there are."""
    kept: list[Batch] = []
    for size, pictures in sorted(set(batches), key=lambda batch: (_area(batch[0]), batch[1]), reverse=True):
        if not kept or pictures > kept[-1][1]:
            kept.append((size, pictures))
    return kept


def epoch_of(settings: Settings, dataset: Dataset | None) -> Epoch | None:
    """Of a training of these pictures, with the settings that they were scanned with."""
    return Epoch.of(settings, dataset.buckets) if dataset is not None and dataset.buckets else None


@dataclass
class Shapes:
    """The epochs of a training with settings that may still change; `dataset` None: the pictures are not known.

    Where a change gives the pictures other sizes they are placed anew, as a scan would.
    """

    settings: Settings
    dataset: Dataset | None
    _known: dict[BucketRules, Mapping[Size, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.dataset is not None:
            self._known[BucketRules.from_settings(self.settings)] = self.dataset.buckets

    def epoch(self, settings: Settings) -> Epoch | None:
        """Of these settings; None where the pictures are not known."""
        if self.dataset is None or not self.dataset.buckets:
            return None
        rules = BucketRules.from_settings(settings)
        if rules not in self._known:
            self._known[rules] = _placed(self.dataset, rules)
        return Epoch.of(settings, self._known[rules]) if self._known[rules] else None

    def batches(self, settings: Settings) -> list[Batch]:
        """The largest of each size; where the pictures are not known, one as it was asked for, of the resolution."""
        epoch = self.epoch(settings)
        return epoch.largest_of_each if epoch else [(settings.size, settings.train_batch_size)]


def _placed(dataset: Dataset, rules: BucketRules) -> Mapping[Size, int]:
    files = Counter[Size]()
    for picture in dataset.used:
        files[picture.width, picture.height] += picture.repeats
    counts = Counter[Size]()
    for size, count in files.items():
        placement = rules.select(*size)
        if placement.fits:
            counts[placement.bucket] += count
    return counts


def _area(size: Size) -> int:
    return size[0] * size[1]
