"""CLIP's tokenizer from a plain vocabulary: no special padding token, so that '!' stays the token it is.

diffusers gives the second tokenizer the padding token "!", and with it every '!' in a caption becomes padding (id 0).
sd-scripts, ComfyUI and A1111 read '!' as the token it is. We agree with the tools that will use the LoRA: one plain
vocabulary for both encoders, and padding written by hand (`sdxl.SDXL.token_ids`).
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_TOKENS = 77  # with the start and the end token

Merge = tuple[str, str]


def byte_symbols() -> list[str]:
    """The 256 printable stand-ins for bytes, in the order of CLIP's vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]


def vocabulary_of(merges: Sequence[Merge]) -> dict[str, int]:
    """CLIP's whole vocabulary follows from its merges: bytes, bytes that end a word, merges in order, start, end."""
    symbols = byte_symbols()
    entries = [*symbols, *(f"{s}</w>" for s in symbols), *("".join(merge) for merge in merges), START, END]
    return {entry: number for number, entry in enumerate(entries)}


@cache
def clip_merges() -> tuple[Merge, ...]:
    """The 48,894 merges of OpenAI's CLIP (MIT, see NOTICE), which both of SDXL's encoders use."""
    packed = files("engine.models").joinpath("sdxl_files", "clip_merges.txt.xz").read_bytes()
    return tuple(_merge(line) for line in lzma.decompress(packed).decode("utf-8").splitlines())


def clip_tokenizer() -> CLIPTokenizer:
    return plain_tokenizer(vocabulary_of(clip_merges()), clip_merges())


def plain_tokenizer(vocabulary: dict[str, int], merges: Sequence[Merge]) -> CLIPTokenizer:
    return CLIPTokenizer(vocab=vocabulary, merges=list(merges), pad_token=END, model_max_length=MAX_TOKENS)


def tokenizer_from(folder: Path) -> CLIPTokenizer | None:
    """The plain tokenizer of a diffusers model's `tokenizer` folder; None where the folder holds no vocabulary.

    The files are read by hand, because transformers makes an empty tokenizer of a missing folder without a word: every
    caption then becomes 0, 2, 2, 2 … and the training is rubbish.
    """
    lists, single = (folder / "vocab.json", folder / "merges.txt"), folder / "tokenizer.json"
    if all(path.is_file() for path in lists):
        vocabulary = json.loads(lists[0].read_text(encoding="utf-8"))
        lines = lists[1].read_text(encoding="utf-8").splitlines()
        return plain_tokenizer(vocabulary, [_merge(line) for line in lines if line and not line.startswith("#version")])
    if single.is_file():
        model = json.loads(single.read_text(encoding="utf-8"))["model"]
        return plain_tokenizer(model["vocab"], [_merge(merge) for merge in model["merges"]])
    return None


def _merge(pair: str | Sequence[str]) -> Merge:
    first, second = pair.split() if isinstance(pair, str) else pair
    return first, second
