"""Any other image-to-text model that transformers knows, by what its own config says it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from engine.caption.captioner import Shown
from engine.caption.sentences import generation
from engine.plan.captioners import needs_own_code
from engine.plan.captioning import CaptioningOptions
from engine.plan.errors import UserError

FROM_NOTHING = ("git", "vision-encoder-decoder")
"""Kinds of models that begin by themselves; others go on from a text."""
QUESTION = "Describe this picture in one sentence."
"""What models that hold conversations are asked, unless the option `prompt` ends in a question or a command."""


class AnyModel:
    """A model in `folder` (GIT, LLaVA, Qwen-VL and the like), on `device` in `dtype`. name: for people.

    Raises UserError `no-such-captioner` for one that transformers has no image-to-text class for, `needs-own-code`.
    """

    def __init__(
        self, folder: Path, name: str, device: torch.device, dtype: torch.dtype, options: CaptioningOptions
    ) -> None:
        try:
            config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model: Any = AutoModelForImageTextToText.from_pretrained(
                folder, config=config, dtype=dtype, local_files_only=True, trust_remote_code=False
            )
            self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (ValueError, KeyError) as error:
            if "trust_remote_code" in str(error):
                raise needs_own_code(name, "") from None
            raise UserError(
                "no-such-captioner",
                f"The model {name} writes no text about pictures, or this version of transformers does not know it.",
                "Choose an image-to-text model.",
            ) from error
        self._model = model.to(device).eval()
        self._prompt = " ".join(options.prompt.split())
        self._generation = generation(options)
        self._begins = config.model_type in FROM_NOTHING
        self._chats = bool(getattr(self._processor, "chat_template", None))

    @torch.no_grad()
    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        images = [shown.opaque for shown in pictures]
        inputs = self._asked(images) if self._chats else self._begun(images)
        inputs = inputs.to(self._model.device, self._model.dtype)
        ids = self._model.generate(**inputs, **self._generation)
        texts = self._processor.batch_decode(_new(ids, inputs), skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    def _begun(self, images: list[Any]) -> Any:
        """For models that complete a sentence."""
        words = {} if self._begins else {"text": [self._prompt] * len(images)}
        return self._processor(images=images, return_tensors="pt", **words)

    def _asked(self, images: list[Any]) -> Any:
        """For models that answer: the question in the form they were trained on."""
        asked = self._prompt if self._prompt.endswith((".", "?", "!")) else QUESTION
        content = [{"type": "image"}, {"type": "text", "text": asked}]
        text = self._processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        self._processor.tokenizer.padding_side = "left"  # the answers begin at one place
        texts, each = [text] * len(images), [[image] for image in images]
        return self._processor(text=texts, images=each, return_tensors="pt", padding=True)


def _new(ids: torch.Tensor, inputs: Any) -> torch.Tensor:
    """What was generated, without what was given, which many models hand back in front of it."""
    given = inputs.get("input_ids")
    if given is not None and ids.shape[1] >= given.shape[1] and bool((ids[:, : given.shape[1]] == given).all()):
        return ids[:, given.shape[1] :]
    return ids
