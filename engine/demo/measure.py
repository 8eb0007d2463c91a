"""Measures the base model: does it draw what the prompt says? Judged by a small classifier trained on the generator.

    python -m engine.demo.measure --sheet docs/demo-model-samples.png

Trains the classifier (a few minutes on two cores), checks it on drawings it has not seen, then judges pictures that the
base model makes from prompts which name everything. Prints the share of right answers for each attribute.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional as F

from engine.demo import descriptions
from engine.demo.pictures import Subject, draw
from engine.demo.pretrain import held_out_pictures, normalised, psnr, to_tensor
from engine.generate.sampler import Sampler, encode
from engine.generate.sheets import comparison, save_png
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.base_model import BaseModel, recognise
from engine.plan.sample_prompts import default_prompt

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "kind": descriptions.KINDS,
    "hair": descriptions.HAIR,
    "shirt": descriptions.SHIRTS,
    "hat": descriptions.HATS,
    "scene": descriptions.SCENES,
}
PEOPLE_ONLY = ("hair", "shirt", "hat")
IGNORED = -100


class Classifier(nn.Module):
    """Pictures (B, 3, 96, 96) in -1..1 to one row of scores for each attribute."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 64, 96)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), nn.BatchNorm2d(wide), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2))
        self.heads = nn.ModuleDict({name: nn.Linear(96 * 36, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.body(x)
        return {name: head(features) for name, head in self.heads.items()}


def labels(subjects: list[Subject]) -> dict[str, Tensor]:
    """Class numbers; hair, shirt and hat of anything but people are not judged."""

    def number(s: Subject, name: str) -> int:
        if name in PEOPLE_ONLY and s.kind not in ("man", "woman"):
            return IGNORED
        return ATTRIBUTES[name].index(getattr(s, name))

    return {name: torch.tensor([number(s, name) for s in subjects]) for name in ATTRIBUTES}


def drawings(count: int, seed: str, *, soft: bool) -> tuple[list[Image.Image], list[Subject]]:
    """Generator pictures; `soft`: half of them a little blurred, as generated pictures are."""
    rng = random.Random(seed)
    subjects = [descriptions.random_subject(rng) for _ in range(count)]
    pictures = [draw(s, 96, 96, rng) for s in subjects]
    if soft:
        pictures = [
            p.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.0))) if rng.random() < 0.5 else p for p in pictures
        ]
    return pictures, subjects


def train_classifier(count: int = 8000, epochs: int = 6, batch: int = 64) -> Classifier:
    torch.manual_seed(0)
    pictures, subjects = drawings(count, "classifier", soft=True)
    x, y = to_tensor(pictures), labels(subjects)
    model = Classifier().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (count // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(count)[: count // batch * batch].split(batch):
            shift = torch.randint(-3, 4, (2,)).tolist()
            pixels = normalised(x[chosen].roll(shift, dims=(2, 3))) + 0.06 * torch.randn(batch, 3, 96, 96)
            scores = model(pixels)
            loss = sum(
                (F.cross_entropy(scores[n], y[n][chosen], ignore_index=IGNORED) for n in ATTRIBUTES),
                start=torch.zeros(()),
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def judge(model: Classifier, pictures: list[Image.Image], subjects: list[Subject]) -> dict[str, float]:
    """Share of right answers for each attribute, over the pictures that have it."""
    scores, truth = model(normalised(to_tensor(pictures))), labels(subjects)
    shares = {}
    for name in ATTRIBUTES:
        counts = truth[name] != IGNORED
        shares[name] = (scores[name].argmax(dim=1) == truth[name])[counts].float().mean().item()
    return shares


def prompted_subjects(count: int) -> list[Subject]:
    """Subjects to ask for: kinds in turn, everything else at random."""
    rng = random.Random("prompts")
    kinds = ("man", "woman", "man", "woman", "cat", "dog", "robot", "woman")
    return [replace(descriptions.random_subject(rng, kinds[n % len(kinds)])) for n in range(count)]


def generate(model: SDXL, base: BaseModel, prompts: list[str], first_seed: int = 0) -> list[Image.Image]:
    """One picture of 96 x 96 px a prompt, seeds counted from `first_seed`."""
    with torch.inference_mode():
        contexts, pooled = model.encode_text(["", *prompts])
    texts = {text: (contexts[n], pooled[n]) for n, text in enumerate(["", *prompts])}
    default = default_prompt(base.size, 96, 96, seed=first_seed)
    asked = [replace(default, prompt=p, seed=first_seed + n) for n, p in enumerate(prompts)]
    sampler = Sampler(model.unet, model.vae, model.scheduler_config, torch.device("cpu"))
    return sampler.pictures([encode(a, texts) for a in asked], batch=8)


def measure(count: int = 128, model_folder: str = "micro") -> tuple[dict[str, Any], list[Image.Image], list[Subject]]:
    """All figures of the model in `model_folder`, with the judged pictures."""
    classifier = train_classifier()
    real = judge(classifier, *drawings(500, "unseen", soft=False))
    base = recognise(model_folder)
    model = load(base)
    subjects = prompted_subjects(count)
    pictures = generate(model, base, [descriptions.full_caption(s) for s in subjects])
    figures = {
        "vae_db": round(psnr(model.vae, held_out_pictures(200)), 2),
        "pictures": count,
        "classifier_on_drawings": {n: round(v, 3) for n, v in real.items()},
        "base_model": {n: round(v, 3) for n, v in judge(classifier, pictures, subjects).items()},
    }
    return figures, pictures, subjects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="micro", help="micro, or the folder of a model to measure")
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--sheet", type=Path, help="write a sheet of samples here")
    args = parser.parse_args()
    figures, pictures, subjects = measure(args.count, args.model)
    print(json.dumps(figures, indent=1))
    if args.sheet:
        rng = random.Random(1)
        rows = [(draw(s, 96, 96, rng), p) for s, p in zip(subjects[:16], pictures[:16], strict=True)]
        captions = [descriptions.full_caption(s) for s in subjects[:16]]
        save_png(
            comparison(rows, ["drawn", "generated"], captions, "What the built-in model makes of its prompts"),
            args.sheet,
        )


if __name__ == "__main__":
    main()
