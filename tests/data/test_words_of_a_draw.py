"""The words that the preview shows are those that the loader sends to the text encoders."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch

from engine.data.samples import Samples
from engine.data.text_source import EncodedInStep, TrainedInStep
from engine.models.reading import Reading
from engine.models.sdxl import SDXL
from engine.plan.caption_draws import CaptionRules
from engine.plan.caption_preview import Seen, draw_at
from engine.plan.dataset import Picture
from engine.plan.order import epoch_batches, optimizer_steps
from engine.plan.settings import resolve

CPU = torch.device("cpu")


class Words:
    """In the place of a model: keeps the words that are to be encoded."""

    def __init__(self) -> None:
        self.last: list[str] = []

    def token_ids(self, texts: list[str], reading: Reading) -> Any:
        self.last = list(texts)
        return SimpleNamespace(to=lambda device: None)


def test_the_preview_shows_what_the_loader_encodes() -> None:
    settings = resolve(
        {"caption_dropout_rate": 0.25},
        {"shuffle_caption": True, "keep_tokens": 1, "caption_tag_dropout_rate": 0.3, "enable_wildcard": True}
        | {"caption_suffix": "photo", "train_batch_size": 2, "gradient_accumulation_steps": 2, "seed": 7},
    )
    captions = ["ohwx, {red|blue} hat, sea\nohwx, a man", "ohwx, a, b, c, d", "", "ohwx"]
    pictures = [
        Picture(Path(f"{n}.png"), "train", "3_x", 64, 64, (64, 64), (64, 64), 3, text, None, False, lines=lines)
        for n, text in enumerate(captions)
        for lines in [tuple(text.split("\n")) if "\n" in text else ()]
    ]
    latent = SimpleNamespace(latent=lambda index, mirrored: SimpleNamespace(mean=None, std=None, mask=None))
    rules, seen = CaptionRules.from_settings(settings), Seen(pictures, settings)
    for make in (EncodedInStep, lambda *parts: TrainedInStep(*parts, autocast=None)):
        model, times, step = Words(), dict.fromkeys(range(len(pictures)), 0), 0
        source = make(rules, Reading(), cast(SDXL, model), CPU)
        samples = Samples(pictures, cast(Any, latent), source, 1.0)
        for epoch in (1, 2, 3):
            for group in optimizer_steps(epoch_batches(pictures, 2, settings.seed, epoch), 2):
                step, position = step + 1, 0
                for indices in group:
                    drawn = samples.drawn(indices, step, position)
                    source.batch([one.caption for one in drawn], epoch=epoch, step=step, first_position=position)
                    position += len(indices)
                    for index, words in zip(indices, model.last, strict=True):
                        place = seen.place(pictures[index].path, times[index])
                        times[index] += 1
                        assert place is not None
                        assert draw_at(settings, pictures[index].words, place).text == words
        assert set(times.values()) == {9}
