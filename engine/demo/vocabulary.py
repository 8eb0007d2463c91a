"""The micro model's tokenizer: a small byte-level BPE in CLIP's own file format, trained on its captions."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

from engine.demo.descriptions import caption, random_subject
from engine.plan.clip_vocabulary import END, START, byte_symbols

CLIP_SPLIT = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""

EVERYDAY_WORDS = """
    a an the and or of in on at with without by to from this that one two three four five photo picture portrait
    drawing painting image person man woman boy girl child people face head eyes nose mouth ears hair beard hat
    cap glasses shirt dress coat jacket suit scarf smile smiling happy sad angry surprised calm looking standing
    sitting walking running cat dog robot horse bird fish tree house car street city beach sea sky sun moon night
    day snow rain forest mountain river road garden room wall background foreground red green blue yellow orange
    purple pink white black grey gray brown blond blonde dark light bright small big large tall short long old
    young new beautiful detailed high quality best masterpiece ultra sharp blurry low bad ugly style cartoon
    sketch art color colour front side close up full body
"""


def write_tokenizers(folder: Path, seed: int = 7) -> None:
    """Train the vocabulary and write `tokenizer/` and `tokenizer_2/` as an SDXL folder holds them."""
    rng = random.Random(seed)
    texts = [caption(random_subject(rng), rng) for _ in range(6000)]
    words = EVERYDAY_WORDS.split()
    for _ in range(1500):
        rng.shuffle(words)
        texts.append(" ".join(words[:12]))

    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = BpeTrainer(
        vocab_size=1400,
        min_frequency=3,
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges = [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]]

    symbols = byte_symbols()
    entries = symbols + [s + "</w>" for s in symbols] + ["".join(m) for m in merges] + [START, END]
    vocabulary = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    for name, pad in (("tokenizer", END), ("tokenizer_2", "!")):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        (target / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
        lines = ["#version: 0.2", *(" ".join(m) for m in merges), ""]
        (target / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
        CLIPTokenizer(
            vocab=str(target / "vocab.json"), merges=str(target / "merges.txt"), pad_token=pad, model_max_length=77
        ).save_pretrained(target)
