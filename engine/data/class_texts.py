"""The captions of a batch as they would be of an ordinary member of the class, for `train.preservation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.text_source import BatchTexts, TextSource
from engine.device import send
from engine.plan.caption_draws import CaptionRules
from engine.plan.class_words import class_words


@dataclass(frozen=True)
class ClassBatch:
    """texts: of the whole batch; weights (B,): how much each sample's loss counts, 0 for one whose caption does not
    have the trigger word."""

    texts: BatchTexts
    weights: Tensor


@dataclass(frozen=True)
class ClassTexts:
    """`rules`: the training's own, without dropout: the words are those of the same draw, also where the training hides
    them. `weight`: diff_output_preservation_multiplier."""

    rules: CaptionRules
    trigger: str
    class_name: str
    weight: float
    texts: TextSource
    device: torch.device

    def batch(self, captions: Sequence[str], *, epoch: int, step: int, first_position: int) -> ClassBatch | None:
        """As `TextSource.batch`; None where no caption has the trigger word."""
        drawn = self.rules.drawn_for(captions, epoch, step, first_position)
        plain = [class_words(words, self.trigger, self.class_name) for words in drawn]
        if not any(plain):
            return None
        words = [text or own for text, own in zip(plain, drawn, strict=True)]
        weights = [self.weight if text else 0.0 for text in plain]
        return ClassBatch(self.texts.of(words), send(torch.tensor(weights), self.device))


def class_captions(rules: CaptionRules, captions: Sequence[str], trigger: str, class_name: str) -> list[str]:
    """All that `ClassTexts` can ask for, where captions do not vary."""
    words = (text for caption in captions for text in rules.without_dropout.possible(caption))
    return [plain for text in words if (plain := class_words(text, trigger, class_name))]
