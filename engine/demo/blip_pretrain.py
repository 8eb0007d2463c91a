"""Pretraining of the micro BLIP, the captioner of the demo. Never run at install time or in CI.

    python -m engine.demo.blip_pretrain train --work build/blip     (resumes; saves every two minutes)
    python -m engine.demo.blip_pretrain ship  --work build/blip     (fp16 folder as transformers saves it)

transformers' own `BlipForConditionalGeneration` at tiny size, on drawings made anew for every step. While it is trained
the picture's encoding also has to tell each attribute by itself, through linear heads that are not kept: what a mouth
looks like is learnt much sooner that way than through the words alone.
"""

from __future__ import annotations

import argparse
import random
import shutil
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil, BlipProcessor

from engine.demo import blip_words, descriptions
from engine.demo.phase import SEED, Trainee, train
from engine.demo.pictures import COLOURS, FUR, HAIR, SKIN, draw
from engine.demo.pretrain import SHAPE_WEIGHTS, to_tensor

SIDE, WIDTH = 96, 128
IGNORED = -100
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "kind": descriptions.KINDS,
    "skin": tuple(SKIN),
    "hair": tuple(HAIR),
    "style": ("mohawk",),
    "shirt": tuple(COLOURS),
    "hat": tuple(COLOURS),
    "beard": ("yes",),
    "ears": ("pointed",),
    "fur": tuple(FUR),
    "metal": descriptions.METALS,
    "mood": tuple(phrase.split()[2] for phrase in blip_words.MOODS.values()),
    "scene": descriptions.SCENES,
}
"""The values of each attribute, in the terms of `blip_words.named`; one number more means "not there"."""


def config(vocabulary: dict[str, int]) -> BlipConfig:
    start, end = vocabulary[blip_words.START], vocabulary["[SEP]"]
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 12,
        "initializer_range": 0.02,  # transformers' own default, 1e-10, is for weights that are loaded
    }
    text = {
        "vocab_size": len(vocabulary),
        "hidden_size": WIDTH,
        "encoder_hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 96,
        "pad_token_id": 0,
        "bos_token_id": start,
        "sep_token_id": end,
        "eos_token_id": end,
    }
    return BlipConfig(vision_config=vision, text_config=text)


def tokenizer(vocabulary: dict[str, int]) -> BertTokenizer:
    return BertTokenizer(vocab=vocabulary, bos_token=blip_words.START)


def pixels(pictures: list[Image.Image]) -> Tensor:
    """Pictures of any size as (N, 3, 96, 96), as the processor squashes and scales them."""
    squashed = [p if p.size == (SIDE, SIDE) else p.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for p in pictures]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (to_tensor(squashed).float() / 255 - mean) / std


def _prompt(rng: random.Random) -> str:
    kind = rng.random()
    return "" if kind < 0.25 else blip_words.PROMPT if kind < 0.6 else rng.choice(blip_words.PROMPTS)


class Trial:
    """A batch of drawings and the losses on it. Pictures and prompts of a step depend on the step alone."""

    def __init__(self, batch: int) -> None:
        vocabulary = blip_words.vocabulary()
        torch.manual_seed(SEED)
        self.batch = batch
        self.tokenizer = tokenizer(vocabulary)
        self.start = vocabulary[blip_words.START]
        self.model = BlipForConditionalGeneration(config(vocabulary))
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTH, len(v) + 1) for name, v in ATTRIBUTES.items()})

    def loss_at(self, step: int) -> Tensor:
        rng = random.Random(f"blip {step}")
        subjects = [blip_words.random_subject(rng) for _ in range(self.batch)]
        shapes = rng.choices(descriptions.SHAPES, weights=SHAPE_WEIGHTS, k=self.batch)
        x = pixels([draw(s, *shape, rng) for s, shape in zip(subjects, shapes, strict=True)])
        flipped = torch.rand(self.batch) < 0.5
        x = torch.where(flipped.view(-1, 1, 1, 1), x.flip(3), x)
        seen = self.model.vision_model(pixel_values=x).last_hidden_state
        words = self._words([(_prompt(rng), blip_words.whole_caption(s)) for s in subjects])
        said = self.model.text_decoder(**words, encoder_hidden_states=seen, reduction="mean").loss
        facts = [blip_words.truth(s) for s in subjects]
        pooled = torch.cat([seen[:, 0], seen[:, 1:].mean(1)], dim=1)
        told = [F.cross_entropy(head(pooled), _values(name, facts)) for name, head in self.heads.items()]
        return said + 0.3 * torch.stack(told).mean()

    def _words(self, rows: list[tuple[str, str]]) -> dict[str, Any]:
        """[DEC] prompt caption [SEP]; what is not the caption is not learnt."""
        ids = [self.tokenizer(f"{prompt} {caption}".strip())["input_ids"] for prompt, caption in rows]
        longest = max(len(row) for row in ids)
        input_ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full((len(rows), longest), IGNORED)
        for number, (row, (prompt, _)) in enumerate(zip(ids, rows, strict=True)):
            row[0] = self.start
            input_ids[number, : len(row)] = torch.tensor(row)
            first = len(self.tokenizer(prompt)["input_ids"]) - 1 if prompt else 1
            labels[number, first : len(row)] = input_ids[number, first : len(row)]
        return {"input_ids": input_ids, "attention_mask": (input_ids != 0).long(), "labels": labels}


def _values(name: str, facts: list[dict[str, str]]) -> Tensor:
    values = ATTRIBUTES[name]
    return torch.tensor([values.index(f[name]) if name in f else len(values) for f in facts])


def pretrain(work: Path, steps: int, batch: int) -> None:
    work.mkdir(parents=True, exist_ok=True)
    trial = Trial(batch)
    named = [*trial.model.named_parameters(), *trial.heads.named_parameters()]
    decayed = [p for _, p in named if p.ndim > 1]
    plain = [p for _, p in named if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    trainee = Trainee({"blip": trial.model, "heads": trial.heads}, optimizer, 0.998)
    train(trainee, trial.loss_at, steps, 1e-3, work / "blip.pt", warmup=200)


def ship(work: Path, target: Path) -> None:
    """The averaged weights in fp16, as transformers saves a BLIP, with its processor and tokenizer."""
    vocabulary = blip_words.vocabulary()
    state = torch.load(work / "blip.pt", weights_only=True)
    model = BlipForConditionalGeneration(config(vocabulary))
    model.load_state_dict(state["averages"]["blip"])
    shutil.rmtree(target, ignore_errors=True)
    model.half().save_pretrained(target)
    image_processor = BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    BlipProcessor(image_processor, tokenizer(vocabulary)).save_pretrained(target)
    for path in target.iterdir():
        path.chmod(0o644)  # transformers leaves the weights readable by their owner alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=("train", "ship"))
    parser.add_argument("--work", type=Path, default=Path("build/blip"))
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "micro_blip")
    parser.add_argument("--steps", type=int, default=2700)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.phase == "train":
        pretrain(given.work, given.steps, given.batch)
    else:
        ship(given.work, given.to)


if __name__ == "__main__":
    main()
