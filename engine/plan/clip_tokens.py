"""How many tokens of CLIP a caption has, and where the training stops reading it.

The same numbers as the engine's (`models.reading`), from the library `tokenizers` alone: transformers takes seconds.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan import clip_vocabulary, weighted_text
from engine.plan.base_model import BaseModel
from engine.plan.clip_vocabulary import END, START

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK = 75
"""Tokens of one reading; captions may have one, two or three of these (`max_token_length`)."""

_MICRO = Path(__file__).resolve().parent.parent / "demo" / "micro"
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # CLIP's own
_REMEMBERED = 4096

_loading = threading.Lock()


class Counter:
    """Counts as a base model reads. folder: its `tokenizer` folder, None for CLIP's own vocabulary; weighted: brackets
    are weights and no letters (`weighted_captions`).

    The vocabulary is read at the first question, once a program: CLIP's takes 0.1 s and 25 MB. Any thread may ask.
    """

    def __init__(self, folder: Path | None = None, weighted: bool = False) -> None:
        self._folder, self._weighted = folder, weighted
        self._count = lru_cache(maxsize=_REMEMBERED)(self._counted)

    @classmethod
    def for_base(cls, base: BaseModel | None, weighted: bool = False) -> Counter:
        """The counter of a base model; CLIP's where none is chosen, as in all SDXL models that are one file."""
        if base is None:
            return cls(None, weighted)
        folder = base.path if base.path.is_dir() else _MICRO if base.size == "micro" else None
        has_one = folder is not None and (folder / "tokenizer").is_dir()
        return cls(folder / "tokenizer" if folder is not None and has_one else None, weighted)

    def load(self) -> None:
        """Read the vocabulary now, such as in a thread while a screen opens."""
        _tokenizer(self._folder)

    def count(self, text: str) -> int:
        """The tokens of a text without the start and the end; any number, nothing is cut off."""
        return self._count(text)

    def cut(self, text: str, limit: int) -> int | None:
        """Where the first character stands of which no token is among the first `limit`; None where all are read."""
        if self.count(text) <= limit:
            return None
        before, read = 0, 0
        for part in self._parts(text):
            starts: list[int] = [start for start, _ in _encoded(self._folder, part).offsets]
            if read + len(starts) > limit:
                place = before + starts[limit - read]
                return weighted_text.places(text)[place] if self._weighted else place
            before, read = before + len(part), read + len(starts)
        return None

    def _counted(self, text: str) -> int:
        return sum(len(_encoded(self._folder, part).ids) for part in self._parts(text))

    def _parts(self, text: str) -> list[str]:
        return [part for part, _ in weighted_text.weighted_parts(text)] if self._weighted else [text]


def _encoded(folder: Path | None, text: str):  # type: ignore[no-untyped-def]
    # Halves of a UTF-16 pair, which some terminals send, are no characters that the library takes.
    whole = text if text.isascii() else "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    return _tokenizer(folder).encode(whole, add_special_tokens=False)


def _tokenizer(folder: Path | None) -> Tokenizer:
    with _loading:
        return _built(folder)


@lru_cache(maxsize=2)
def _built(folder: Path | None) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    found = clip_vocabulary.vocabulary_in(folder) if folder is not None else None
    if found is None:
        merges = list(clip_vocabulary.read_clip_merges())
        found = clip_vocabulary.vocabulary_of(merges), merges
    model = BPE(
        vocab=found[0],
        merges=found[1],
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        fuse_unk=False,
        unk_token=END,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.add_special_tokens([START, END])
    return tokenizer
