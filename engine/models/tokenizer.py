"""CLIP's tokenizer from a plain vocabulary: no special padding token, so that '!' stays the token it is.

diffusers gives the second tokenizer the padding token "!", and with it every '!' in a caption becomes padding (id 0).
sd-scripts, ComfyUI and A1111 read '!' as the token it is. We agree with the tools that will use the LoRA: one plain
vocabulary for both encoders, and padding written by hand (`sdxl.SDXL.token_ids`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import CLIPTokenizer

from engine.plan.clip_vocabulary import END, Merge, clip_merges, vocabulary_in, vocabulary_of

MAX_TOKENS = 77  # with the start and the end token


def clip_tokenizer() -> CLIPTokenizer:
    return plain_tokenizer(vocabulary_of(clip_merges()), clip_merges())


def plain_tokenizer(vocabulary: dict[str, int], merges: Sequence[Merge]) -> CLIPTokenizer:
    return CLIPTokenizer(vocab=vocabulary, merges=list(merges), pad_token=END, model_max_length=MAX_TOKENS)


def tokenizer_from(folder: Path) -> CLIPTokenizer | None:
    """The plain tokenizer of a diffusers model's `tokenizer` folder; None where the folder holds no vocabulary.

    The files are read by hand, because transformers makes an empty tokenizer of a missing folder without a word: every
    caption then becomes 0, 2, 2, 2 … and the training is rubbish.
    """
    found = vocabulary_in(folder)
    return None if found is None else plain_tokenizer(*found)
