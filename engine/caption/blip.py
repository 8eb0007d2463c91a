"""BLIP through transformers, as the guide uses it: the picture squashed to a square, a beginning, beam search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, BlipForConditionalGeneration

from engine.caption.captioner import Shown
from engine.caption.sentences import generation
from engine.plan.captioning import CaptioningOptions


class Blip:
    """A BLIP in `folder`, on `device` in `dtype`."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype, options: CaptioningOptions) -> None:
        self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model: Any = BlipForConditionalGeneration.from_pretrained(folder, dtype=dtype, local_files_only=True)
        self._model = model.to(device).eval()
        self._prompt = " ".join(options.prompt.split())
        # The start token and the words; `generate` leaves out the end, and gives them back before what is new.
        self._beginning = len(self._processor.tokenizer(self._prompt)["input_ids"]) - 1 if self._prompt else 1
        places = int(self._model.config.text_config.max_position_embeddings)
        self._generation = generation(options, room=places - self._beginning)

    @torch.no_grad()
    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        words = {"text": [self._prompt] * len(pictures)} if self._prompt else {}  # one text for all of them is refused
        inputs = self._processor(images=[shown.opaque for shown in pictures], return_tensors="pt", **words)
        inputs = inputs.to(self._model.device, self._model.dtype)
        ids = self._model.generate(**inputs, **self._generation)
        texts = self._processor.batch_decode(ids[:, self._beginning :], skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]
