"""Where the loop gets the texts of a batch from: encoded ahead, or encoded in the step.

The loop asks in two stages. `TextSource.batch` is called while a batch is put together: it draws each sample's words
and sends what belongs to them on its way, without waiting for the device. `BatchTexts.encoded` is called in the step,
just before the U-Net, and gives what the U-Net is given. So an implementation may keep a graph for gradients, which
then lives exactly as long as that batch's forward and backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.device import send
from engine.models.reading import Reading, TokenIds
from engine.models.sdxl import SDXL
from engine.plan.caption_draws import CaptionRules

REMEMBERED = 1000
"""Texts; one of 75 tokens takes 0.3 MB of the computer's memory in half precision. Captions that are mixed anew each
time never come to an end."""

Encoded = tuple[Tensor, Tensor]
"""Context (B, tokens, 2048) and pooled (B, 1280); of a single text without B. 77 tokens for 75 of the caption,
152 for 150, 227 for 225."""


class BatchTexts(Protocol):
    """The texts of one batch."""

    def encoded(self) -> Encoded:
        """On the training device. To be called outside of autocast."""


class TextSource(Protocol):
    """The texts of a whole training."""

    def batch(self, captions: Sequence[str], *, epoch: int, step: int, first_position: int) -> BatchTexts:
        """The texts of the samples at `first_position` and following of optimizer step `step`; both ways draw the
        same words. `captions`: `Picture.words` of each."""

    def of(self, words: Sequence[str]) -> BatchTexts:
        """These very words; encoded ahead there are only those that were asked for then."""


@dataclass(frozen=True)
class EncodedBatch:
    """Texts that were encoded ahead, on the device already."""

    context: Tensor
    pooled: Tensor

    def encoded(self) -> Encoded:
        return self.context, self.pooled


@dataclass(frozen=True)
class EncodedAhead:
    """`encodings` holds every text that the captions can become (`CaptionRules.possible`), on the CPU."""

    rules: CaptionRules
    encodings: Mapping[str, Encoded]
    device: torch.device

    def batch(self, captions: Sequence[str], *, epoch: int, step: int, first_position: int) -> EncodedBatch:
        return self.of(self.rules.drawn_for(captions, epoch, step, first_position))

    def of(self, words: Sequence[str]) -> EncodedBatch:
        texts = [self.encodings[text] for text in words]
        return EncodedBatch(
            context=send(torch.stack([context for context, _ in texts]), self.device),
            pooled=send(torch.stack([pooled for _, pooled in texts]), self.device),
        )


@dataclass(frozen=True)
class TokenisedBatch:
    """Texts as numbers, on the device already; the encoders run when the step comes to them."""

    model: SDXL
    ids: TokenIds

    def encoded(self) -> Encoded:
        with torch.no_grad():
            return self.model.encode_ids(self.ids)


@dataclass(frozen=True)
class TrainedBatch:
    """The same with gradients into the text encoders."""

    model: SDXL
    ids: TokenIds
    autocast: Callable[[], AbstractContextManager[Any]]

    def encoded(self) -> Encoded:
        with self.autocast():
            return self.model.encode_ids(self.ids)


@dataclass(frozen=True)
class TrainedInStep:
    """Text encoders that are trained: their LoRA is fp32, so they run under `autocast`, as the U-Net does."""

    rules: CaptionRules
    reading: Reading
    model: SDXL
    device: torch.device
    autocast: Callable[[], AbstractContextManager[Any]]

    def batch(self, captions: Sequence[str], *, epoch: int, step: int, first_position: int) -> TrainedBatch:
        return self.of(self.rules.drawn_for(captions, epoch, step, first_position))

    def of(self, words: Sequence[str]) -> TrainedBatch:
        return TrainedBatch(self.model, self.model.token_ids(words, self.reading).to(self.device), self.autocast)


@dataclass(frozen=True)
class RememberedBatch:
    """Texts whose encodings are remembered, or will be once the step comes to them."""

    source: EncodedInStep
    words: Sequence[str]

    def encoded(self) -> Encoded:
        return self.source.recalled(self.words)


@dataclass
class EncodedInStep:
    """The text encoders, frozen and on the device, run once a batch, in their own precision as when encoding ahead.

    `remembered`: where the device has no room for them, each text is encoded once, and the encoders are there only for
    those that are new.
    """

    rules: CaptionRules
    reading: Reading
    model: SDXL
    device: torch.device
    remembered: dict[str, Encoded] | None = None

    def batch(self, captions: Sequence[str], *, epoch: int, step: int, first_position: int) -> BatchTexts:
        return self.of(self.rules.drawn_for(captions, epoch, step, first_position))

    def of(self, words: Sequence[str]) -> BatchTexts:
        if self.remembered is not None:
            return RememberedBatch(self, words)
        return TokenisedBatch(self.model, self.model.token_ids(words, self.reading).to(self.device))

    def remember(self) -> None:
        """From now on the encoders are on the device only for texts that are new."""
        self.remembered = {}
        self.model.text_encoders_to("cpu")

    def recalled(self, words: Sequence[str]) -> Encoded:
        assert self.remembered is not None
        missing = [text for text in dict.fromkeys(words) if text not in self.remembered]
        if missing:
            self.model.text_encoders_to(self.device)
            for text in missing:
                context, pooled = TokenisedBatch(
                    self.model, self.model.token_ids([text], self.reading).to(self.device)
                ).encoded()
                self.remembered[text] = context[0].cpu(), pooled[0].cpu()
            self.model.text_encoders_to("cpu")
        texts = [self.remembered[text] for text in words]
        while len(self.remembered) > REMEMBERED:
            del self.remembered[next(iter(self.remembered))]  # the one encoded first
        context, pooled = (torch.stack(side) for side in zip(*texts, strict=True))
        return send(context, self.device), send(pooled, self.device)
