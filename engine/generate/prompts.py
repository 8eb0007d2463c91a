"""How sample prompts become what the U-Net is given: through the cache, or with text encoders that are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from transformers import CLIPTokenizer

from engine.data.cache import Texts
from engine.data.text_source import Encoded
from engine.generate.sampler import EncodedPrompt, encode
from engine.models.reading import CHUNK, Reading
from engine.models.sdxl import SDXL
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.settings import Settings
from engine.plan.weighted_text import weighted_parts

READINGS = (CHUNK, 2 * CHUNK, 3 * CHUNK)  # tokens
Encode = Callable[[Sequence[SamplePrompt]], list[EncodedPrompt]]


def prompt_reading(settings: Settings | None) -> Reading:
    """How prompts are read: as long as captions may be, and their brackets are weights, as in A1111."""
    return Reading(settings.max_token_length if settings else CHUNK, weighted=True, restored=True)


def reading_for(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> tuple[Reading, int]:
    """(the shortest reading that these prompts fit in, how many tokens the longest is beyond the longest reading).

    A prompt and its negative are read alike, since the U-Net is given both at once.
    """
    longest = max(sum(len(tokenizer(part).input_ids) - 2 for part, _ in weighted_parts(text) if part) for text in texts)
    fitting = next((size for size in READINGS if longest <= size), READINGS[-1])
    return Reading(fitting, weighted=True, restored=True), max(0, longest - fitting)


def texts_of(asked: Sequence[SamplePrompt]) -> list[str]:
    """Every text that belongs to these prompts, once."""
    return list(dict.fromkeys(text for prompt in asked for text in (prompt.prompt, prompt.negative)))


class FromCache:
    """With frozen text encoders. `known`: what is encoded already; `afterwards()` is called when the encoders were
    needed for more, `check()` may raise to interrupt."""

    def __init__(
        self,
        texts: Texts,
        known: dict[str, Encoded],
        afterwards: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        self._texts, self._known, self._afterwards, self._check = texts, known, afterwards, check

    def __call__(self, asked: Sequence[SamplePrompt]) -> list[EncodedPrompt]:
        missing = [text for text in texts_of(asked) if text not in self._known]
        if missing:
            self._known |= self._texts.load(missing, lambda _done, _total: self._check())
            self._afterwards()
        return [encode(prompt, self._known) for prompt in asked]


class WithTrained:
    """With text encoders that are being trained: encoded anew each time, and kept out of the cache."""

    def __init__(self, model: SDXL, reading: Reading, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
        self._model, self._reading, self._autocast = model, reading, autocast

    @torch.no_grad()
    def __call__(self, asked: Sequence[SamplePrompt]) -> list[EncodedPrompt]:
        encoders = (self._model.text_encoder, self._model.text_encoder_2)
        training = [encoder.training for encoder in encoders]
        for encoder in encoders:
            encoder.eval()
        try:
            encodings = {}
            for text in texts_of(asked):
                with self._autocast():
                    context, pooled = self._model.encode_text([text], self._reading)
                encodings[text] = context[0].float().cpu(), pooled[0].float().cpu()
        finally:
            for encoder, was in zip(encoders, training, strict=True):
                encoder.train(was)
        return [encode(prompt, encodings) for prompt in asked]
