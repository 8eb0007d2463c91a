"""The order of an epoch: which pictures make which batch. A pure function of seed and epoch."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.plan.dataset import Picture


Batch = list[int]  # indices into the pictures, all of one bucket


def epoch_batches(pictures: Sequence[Picture], batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """The batches of `epoch` (from 1), in order.

    Each picture occurs `repeats` times; pictures are shuffled inside their bucket and cut into batches (a bucket's
    last one may be short, nothing is dropped), and the batches are shuffled (sd-scripts: `BaseDataset.make_buckets`,
    `shuffle_buckets`).
    """
    rng = random.Random(f"order {seed} {epoch}")
    buckets: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, picture in enumerate(pictures):
        buckets[picture.bucket] += [index] * picture.repeats
    batches = []
    for _, indices in sorted(buckets.items()):
        rng.shuffle(indices)
        batches += [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]
    rng.shuffle(batches)
    return batches


def optimizer_steps(batches: list[Batch], accumulation: int) -> list[list[Batch]]:
    """Batches grouped by optimizer step; an epoch's last step may have fewer than `accumulation`."""
    return [batches[start : start + accumulation] for start in range(0, len(batches), accumulation)]
