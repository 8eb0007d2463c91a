"""Florence-2 through transformers' own classes: one task for each degree of detail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, Florence2ForConditionalGeneration

from engine.caption.captioner import Shown
from engine.caption.sentences import generation
from engine.plan.captioning import CaptioningOptions

TASKS = {"short": "<CAPTION>", "detailed": "<DETAILED_CAPTION>", "paragraph": "<MORE_DETAILED_CAPTION>"}


class Florence:
    """A Florence-2 in `folder`, on `device` in `dtype`."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype, options: CaptioningOptions) -> None:
        self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model: Any = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=dtype, local_files_only=True)
        self._model = model.to(device).eval()
        self._task = TASKS[options.detail]
        places = int(self._model.config.text_config.max_position_embeddings)
        self._generation = generation(options, room=places - 2)  # the start and the end of a sentence

    @torch.no_grad()
    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        images = [shown.opaque for shown in pictures]
        inputs = self._processor(text=[self._task] * len(images), images=images, return_tensors="pt")
        inputs = inputs.to(self._model.device, self._model.dtype)
        ids = self._model.generate(**inputs, **self._generation)
        texts = self._processor.batch_decode(ids, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]
