"""The batches of a project's training, outside of a run: the same pictures, noise and order, from its caches."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from engine.data.cache import Latents, Texts
from engine.data.latent_source import LatentsAhead
from engine.data.samples import MicroBatch, Samples
from engine.data.text_source import EncodedAhead
from engine.models.sdxl import SDXL
from engine.plan.caption_draws import CaptionRules
from engine.plan.dataset import Picture, scan
from engine.plan.order import epoch_batches
from engine.plan.project import Project
from engine.plan.settings import Settings
from engine.train.noise import Randomness, micro_batch

CPU = torch.device("cpu")


class Batches:
    """What is not encoded yet is encoded now; `samples` then holds all of it."""

    def __init__(self, project: Project, settings: Settings, model: SDXL) -> None:
        self.settings = settings
        self.pictures = list(scan(project, settings).used)
        latents = Latents(project.cache_dir, model, CPU).load(self.pictures, lambda *_: None)
        rules = CaptionRules.from_settings(settings)
        texts = [text for picture in self.pictures for text in rules.possible(picture.words)]
        encodings = Texts(project.cache_dir, model, CPU).load(texts, lambda *_: None)
        source = EncodedAhead(rules, encodings, CPU)
        self.samples = Samples(self.pictures, LatentsAhead(latents), source, settings.prior_loss_weight)
        self.randomness = Randomness.of(settings)
        self.scaling_factor = float(model.vae.config["scaling_factor"])

    def epoch(self, epoch: int = 1) -> Iterator[tuple[list[Picture], MicroBatch]]:
        """Pictures and batch of each step of an epoch, without gradient accumulation; steps are counted from 1."""
        order = epoch_batches(self.pictures, self.settings.train_batch_size, self.settings.seed, epoch)
        for step, indices in enumerate(order, start=1 + (epoch - 1) * len(order)):
            batch = micro_batch(
                self.samples.drawn(indices, step, 0),
                self.samples.texts,
                self.randomness,
                epoch=epoch,
                step=step,
                first_position=0,
                scaling_factor=self.scaling_factor,
                device=CPU,
            )
            yield [self.pictures[index] for index in indices], batch
