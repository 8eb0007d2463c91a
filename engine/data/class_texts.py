"""The captions of a batch as they would be of an ordinary member of the class, for `train.preservation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.text_source import BatchTexts, TextSource
from engine.device import send
from engine.plan.caption_draws import CaptionRules
from engine.plan.dataset import Picture
from engine.plan.subjects import Subject, Subjects


@dataclass(frozen=True)
class ClassBatch:
    """texts: of the whole batch; weights (B,): how much each sample's loss counts, 0 for one whose caption does not
    have the trigger word."""

    texts: BatchTexts
    weights: Tensor


@dataclass(frozen=True)
class ClassTexts:
    """`rules`: the training's own, without dropout: the words are those of the same draw, also where the training hides
    them. `subjects`: whom the pictures show. `weight`: diff_output_preservation_multiplier."""

    rules: CaptionRules
    subjects: Subjects
    weight: float
    texts: TextSource
    device: torch.device

    def batch(
        self,
        captions: Sequence[str],
        shown: Sequence[Subject | None],
        *,
        epoch: int,
        step: int,
        first_position: int,
    ) -> ClassBatch | None:
        """As `TextSource.batch`; None where no caption has the trigger word. shown: whom each picture shows, None for
        the project's subject."""
        drawn = self.rules.drawn_for(captions, epoch, step, first_position)
        own = self.subjects.own
        plain = [self.subjects.plain(words, subject or own) for words, subject in zip(drawn, shown, strict=True)]
        if not any(plain):
            return None
        words = [text or own for text, own in zip(plain, drawn, strict=True)]
        weights = [self.weight if text else 0.0 for text in plain]
        return ClassBatch(self.texts.of(words), send(torch.tensor(weights), self.device))


def class_captions(rules: CaptionRules, pictures: Sequence[Picture], subjects: Subjects) -> list[str]:
    """All that `ClassTexts` can ask for, where captions do not vary."""
    words = ((text, p) for p in pictures for text in rules.without_dropout.possible(p.words))
    return [plain for text, p in words if (plain := subjects.plain(text, subjects.of_picture(p.path)))]
