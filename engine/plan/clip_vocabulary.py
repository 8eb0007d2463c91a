"""CLIP's vocabulary as plain lists, without the library that reads texts with it."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"

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
    return read_clip_merges()


def read_clip_merges() -> tuple[Merge, ...]:
    """The same without keeping them: they take 20 MB."""
    packed = files("engine").joinpath("models", "sdxl_files", "clip_merges.txt.xz").read_bytes()
    return tuple(_merge(line) for line in lzma.decompress(packed).decode("utf-8").splitlines())


def vocabulary_in(folder: Path) -> tuple[dict[str, int], list[Merge]] | None:
    """The vocabulary and the merges of a diffusers model's `tokenizer` folder; None where the folder holds none.

    Raises OSError, ValueError and KeyError for files that are something else.
    """
    lists, single = (folder / "vocab.json", folder / "merges.txt"), folder / "tokenizer.json"
    if all(path.is_file() for path in lists):
        vocabulary = json.loads(lists[0].read_text(encoding="utf-8"))
        lines = lists[1].read_text(encoding="utf-8").splitlines()
        return vocabulary, [_merge(line) for line in lines if line and not line.startswith("#version")]
    if single.is_file():
        model = json.loads(single.read_text(encoding="utf-8"))["model"]
        return model["vocab"], [_merge(merge) for merge in model["merges"]]
    return None


def _merge(pair: str | Sequence[str]) -> Merge:
    first, second = pair.split() if isinstance(pair, str) else pair
    return first, second
