"""Images per second beside the plain loop, and a whole step beside the U-Net alone: same model, data, threads, machine.

The contestants take turns in blocks of a few steps, so that whatever else the machine does hits all of them; ratios are
medians over the rounds.
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator

from benchmarks.reference import PlainLoop, RawBatch, start_of
from engine.data.cache import Latents, Texts
from engine.data.latent_source import LatentsAhead
from engine.data.samples import Samples
from engine.data.text_source import EncodedAhead
from engine.lora.attach import LoraShape, attach
from engine.lora.network import LoraNetwork
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan import presets
from engine.plan.base_model import recognise
from engine.plan.caption_draws import CaptionRules
from engine.plan.dataset import Picture, scan
from engine.plan.order import epoch_batches
from engine.plan.project import Project
from engine.plan.settings import Settings
from engine.train.loop import Training, train_step
from engine.train.loss import denoising_loss
from engine.train.meter import Meter, StepFacts
from engine.train.noise import Randomness, generator, micro_batch
from engine.train.objective import Objective
from engine.train.optimizers import effective_rates, make_optimizer
from engine.train.processes import ALONE

CPU = torch.device("cpu")
BLOCK = 4
ROUNDS = 24


@dataclass(frozen=True)
class Speed:
    """Images per second of each loop, ratios over the plain ones, and the largest relative difference of losses."""

    images_per_second: dict[str, float]
    over_plain: float
    over_plain_cached: float
    step_over_unet: float
    optimizer_seconds: float
    unet_seconds: float
    loss_difference: float


@dataclass
class Data:
    settings: Settings
    pictures: list[Picture]
    samples: Samples
    model: SDXL


def prepare(base_model: str = "micro", project_folder: Path | None = None) -> Data:
    """The demo project with its own settings, everything encoded."""
    project = Project.open(project_folder or Path(str(files("engine"))) / "demo" / "project")
    settings = project.resolved({**presets.load("demo").settings, "pretrained_model_name_or_path": base_model})
    model = load(recognise(base_model))
    dataset = scan(project, settings)
    pictures = list(dataset.used)
    with tempfile.TemporaryDirectory() as folder:
        latents = Latents(Path(folder), model, CPU).load(pictures, lambda *_: None)
        encodings = Texts(Path(folder), model, CPU).load([p.caption for p in pictures], lambda *_: None)
    texts = EncodedAhead(CaptionRules(settings.seed), encodings, CPU)  # no dropped captions: the plain loop has none
    samples = Samples(pictures, LatentsAhead(latents), texts, settings.prior_loss_weight)
    return Data(settings, pictures, samples, model)


class Ours:
    """The real step with the real meter, in blocks."""

    def __init__(self, data: Data) -> None:
        self.data, s = data, data.settings
        self.unet = copy.deepcopy(data.model.unet)
        self.network: LoraNetwork = attach({"unet": self.unet}, LoraShape(s.network_dim, s.network_alpha), s.seed)
        accelerator = Accelerator(cpu=True)
        self.optimizer = accelerator.prepare(make_optimizer(s, self.network.parameters))
        self.training: Any = SimpleNamespace(
            dtype=torch.float32,
            accelerator=accelerator,
            unet=self.unet,
            network=self.network,
            optimizer=self.optimizer,
            settings=s,
            processes=ALONE,
        )
        self.training.predict = partial(Training.predict, self.training)
        self.unet.train()
        self.objective = Objective.of(s, CPU)
        self.plain_objective = Objective.of(s.model_copy(update={"min_snr_gamma": 0.0}), CPU)
        self.randomness = Randomness(s.seed, s.noise_offset)
        self.order = [
            b for epoch in range(1, 9) for b in epoch_batches(data.pictures, s.train_batch_size, s.seed, epoch)
        ]
        self.meter = Meter(SimpleNamespace(emit=lambda *_, **__: None), CPU)  # type: ignore[arg-type]
        self.scale = data.model.vae.config["scaling_factor"]

    def batch(self, step: int) -> Any:
        samples = [self.data.samples.at(i) for i in self.order[step]]
        return micro_batch(
            samples,
            self.data.samples.texts,
            self.randomness,
            epoch=1,
            step=step,
            first_position=0,
            scaling_factor=self.scale,
            device=CPU,
        )

    def step(self, step: int) -> torch.Tensor:
        rates, d = effective_rates(self.optimizer)
        figures = train_step(self.training, [self.batch(step)], self.objective)
        self.meter.add(StepFacts(step, 1, step, {"unet": rates[0]}, d, len(self.order[step]), figures))
        return figures

    def raw(self, step: int) -> RawBatch:
        """The same batch for the plain loop."""
        chosen = [self.data.pictures[i] for i in self.order[step]]
        ours = self.batch(step)
        noises = [torch.empty(ours.latents.shape[1:]) for _ in chosen]
        for position, noise in enumerate(noises):
            noise.normal_(generator=generator(self.randomness.seed, "latent", step, position))
        return RawBatch(chosen, torch.stack(noises), ours)

    def unet_alone(self, batch: Any) -> None:
        context, pooled = batch.texts.encoded()  # there already: nothing is computed
        predicted = self.unet(
            batch.latents,
            batch.timesteps,
            encoder_hidden_states=context,
            added_cond_kwargs={"text_embeds": pooled, "time_ids": batch.time_ids},
            return_dict=False,
        )[0]
        denoising_loss(predicted, batch, self.plain_objective).backward()


def _timed(block: Callable[[int], Any], first: int) -> float:
    began = time.perf_counter()
    for step in range(first, first + BLOCK):
        block(step)
    return time.perf_counter() - began


def measure(data: Data) -> Speed:
    ours = Ours(data)
    s = data.settings
    plain_model, cached_model = copy.deepcopy(data.model), copy.deepcopy(data.model)
    plain = PlainLoop(plain_model, start_of(ours.network), s, cached=False)
    plain_cached = PlainLoop(cached_model, start_of(ours.network), s, cached=True)

    steps = BLOCK * (ROUNDS + 1)
    raws = [ours.raw(step) for step in range(steps)]
    bare = [ours.batch(step) for step in range(BLOCK)]
    optimizer_seconds = 0.0
    step_of_optimizer = ours.optimizer.step

    def timed_optimizer(*args: Any, **kwargs: Any) -> Any:
        nonlocal optimizer_seconds
        began = time.perf_counter()
        result = step_of_optimizer(*args, **kwargs)
        optimizer_seconds += time.perf_counter() - began
        return result

    ours.optimizer.step = timed_optimizer  # type: ignore[method-assign]
    losses: dict[str, list[float]] = {"ours": [], "plain": [], "plain cached": []}
    seconds: dict[str, list[float]] = {name: [] for name in (*losses, "unet")}
    for turn in range(ROUNDS + 1):  # the first round only warms up
        first = turn * BLOCK
        if turn == 1:
            optimizer_seconds = 0.0
        taken = {
            "ours": _timed(lambda n: losses["ours"].append(ours.step(n)[0].item()), first),
            "plain": _timed(lambda n: losses["plain"].append(plain.step(raws[n])), first),
            "plain cached": _timed(lambda n: losses["plain cached"].append(plain_cached.step(raws[n])), first),
            "unet": _timed(lambda n: ours.unet_alone(bare[n % BLOCK]), first),
        }
        ours.network.zero_grad()
        if turn:
            for name, value in taken.items():
                seconds[name].append(value)

    def ratio(name: str, over: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[name], seconds[over], strict=True))

    images = BLOCK * s.train_batch_size
    differences = [
        abs(a - b) / abs(a)
        for other in ("plain", "plain cached")
        for a, b in zip(losses["ours"], losses[other], strict=True)
    ]
    return Speed(
        {name: images / statistics.median(values) for name, values in seconds.items() if name != "unet"},
        ratio("plain", "ours"),
        ratio("plain cached", "ours"),
        ratio("ours", "unet"),
        optimizer_seconds / (ROUNDS * BLOCK),
        statistics.median(seconds["unet"]) / BLOCK,
        max(differences),
    )
