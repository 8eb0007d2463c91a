"""Fewer pictures at once, with batches collected in their place: what that sets, and what it does to the steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.plan.errors import plural
from engine.plan.real_batches import Epoch
from engine.plan.settings import Settings

MOST_COLLECTED = 1024
WORTH_SAYING = 0.05  # by how much the steps of an epoch become fewer or more


@dataclass(frozen=True)
class SmallerBatch:
    """pictures: at once. collected: batches of a step, so that it learns from as many pictures as it did from its
    largest batches. words: what that means, in sentences."""

    pictures: int
    collected: int
    words: str

    @property
    def changes(self) -> dict[str, object]:
        """The options that it sets."""
        return {"train_batch_size": self.pictures, "gradient_accumulation_steps": self.collected}


def smaller_batches(settings: Settings, epoch: Epoch | None) -> Iterator[SmallerBatch]:
    """Every smaller batch that divides the largest that really occurs, the largest of them first. epoch: with these
    settings; None where the pictures are not known, and batches are taken to be full."""
    largest = epoch.largest_batch if epoch is not None else settings.train_batch_size
    for pictures in range(largest - 1, 0, -1):
        collected = settings.gradient_accumulation_steps * largest // pictures
        if largest % pictures == 0 and collected <= MOST_COLLECTED:
            yield SmallerBatch(pictures, collected, _words(settings, epoch, pictures, collected))


def _words(settings: Settings, epoch: Epoch | None, pictures: int, collected: int) -> str:
    learnt = pictures * collected * settings.num_processes
    begins = f"each step collects {plural(collected, 'batch', 'batches')}, so it"
    if epoch is None:
        return f"{begins} still learns from {plural(learnt, 'picture')}. Steps take a little longer."
    after = replace(epoch, batch_size=pictures, accumulation=collected)
    full = epoch.pictures == epoch.batches * epoch.largest_batch * epoch.processes
    learns = "still learns" if full else "learns"
    most = "" if full else ", as now at most"
    if abs(after.steps - epoch.steps) <= WORTH_SAYING * epoch.steps:
        ends = "Steps take a little longer."
    else:
        ends = f"An epoch has {plural(after.steps, 'step')} then in place of {epoch.steps}; more epochs make up for it."
    return f"{begins} {learns} from {plural(learnt, 'picture')}{most}. {ends}"
