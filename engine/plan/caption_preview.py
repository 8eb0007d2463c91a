"""What a picture is really trained with: its caption after shuffling, dropout and the rest, one draw after the other.

The draws are not examples but the training's own: the n-th is what the n-th time is that the picture is seen, as long
as pictures and settings stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.caption_draws import CaptionRules
from engine.plan.order import epoch_batches, optimizer_steps
from engine.plan.settings import Settings

if TYPE_CHECKING:
    from engine.plan.dataset import Picture


@dataclass(frozen=True)
class Place:
    """When a picture is seen: epoch and optimizer step, from 1, and its position in the step, from 0."""

    epoch: int
    step: int
    position: int


@dataclass(frozen=True)
class Draw:
    """text: what is trained then. dropped: nothing, because captions are left out at times; alike: every draw is this
    text, or this one and the empty one."""

    text: str
    place: Place
    dropped: bool
    alike: bool


def draw_at(settings: Settings, caption: str, place: Place, class_words: str = "", seed: int | None = None) -> Draw:
    """What `caption` becomes when it is seen at `place`.

    caption: as in `Picture.words`, all lines where a wildcard chooses one of them; an empty one is the class words.
    seed: another one than the settings'.
    """
    rules = CaptionRules.from_settings(settings if seed is None else settings.model_copy(update={"seed": seed}))
    words = caption or class_words
    text = rules.drawn(words, epoch=place.epoch, step=place.step, position=place.position)
    whole = rules.without_dropout.drawn(words, epoch=place.epoch, step=place.step, position=place.position)
    return Draw(text, place, dropped=not text and bool(whole), alike=not rules.varies)


def draws(settings: Settings, caption: str, number: int, class_words: str = "", seed: int | None = None) -> Draw:
    """The draw with `number`, from 0, where the order of the training does not matter: each as if in a step of its own.

    Quick for data sets of any size; `Seen` tells the true places.
    """
    return draw_at(settings, caption, Place(number + 1, number + 1, 0), class_words, seed)


class Seen:
    """Where the pictures of a training stand in it. pictures: `Dataset.used`; processes: GPUs."""

    def __init__(self, pictures: Sequence[Picture], settings: Settings) -> None:
        self._pictures, self._settings = pictures, settings
        self._index = {picture.path: index for index, picture in enumerate(pictures)}
        self._epochs: list[dict[int, list[Place]]] = []
        self._steps = 0

    def place(self, picture: Path, number: int) -> Place | None:
        """The n-th time, from 0, that a picture is seen, going on beyond the last epoch; None for one that is not."""
        index = self._index.get(picture)
        if index is None:
            return None
        return next(islice(self._places(index), number, None))

    def _places(self, index: int) -> Iterator[Place]:
        for epoch in count():
            if epoch == len(self._epochs):
                self._next_epoch()
            yield from self._epochs[epoch][index]

    def _next_epoch(self) -> None:
        s, epoch = self._settings, len(self._epochs) + 1
        places: dict[int, list[Place]] = {}
        for group in optimizer_steps(
            epoch_batches(self._pictures, s.train_batch_size * s.num_processes, s.seed, epoch),
            s.gradient_accumulation_steps,
        ):
            self._steps += 1
            for position, index in enumerate(index for indices in group for index in indices):
                places.setdefault(index, []).append(Place(epoch, self._steps, position))
        self._epochs.append(places)
