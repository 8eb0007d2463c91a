"""The validation loss: how well the LoRA predicts the noise of pictures that it is not trained on.

Which noise a picture gets is a function of validation_seed and its name, and it gets it at the same four noise levels
each time, with its whole caption, upright. Neither the options of noise and loss nor any dropout have a part in it: so
the curve goes by what was learnt alone, from round to round and, on the same pictures, from one training to another.
(sd-scripts validates at the same timesteps, yet with the training's own noise options, loss_type and weights.)
Training does not notice: nothing here is random, and everything is put back.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import fsum

import torch
from torch import Tensor, nn

from engine.context import JobContext, Stopped
from engine.data.samples import MicroBatch, Samples
from engine.device import give_back, send
from engine.lora.network import LoraNetwork
from engine.models.sdxl import SDXL
from engine.out_of_memory import is_out_of_memory
from engine.plan.caption_draws import CaptionRules
from engine.plan.dataset import Picture
from engine.plan.draws import draw
from engine.plan.settings import Settings
from engine.runs.events import Event, read_all
from engine.train.loss import judged
from engine.train.noise import generator, masks_of
from engine.train.objective import Objective
from engine.train.preservation import Predict

TIMESTEPS = (200, 400, 600, 800)
"""sd-scripts' own (`train_network.py`: validation_timesteps)."""

Look = tuple[int, int]
"""One of the pictures, by its number, at one timestep."""


def words_of(picture: Picture, settings: Settings) -> str:
    """The caption with which a picture is validated: nothing dropped, nothing mixed, of wildcards always the same."""
    rules = replace(CaptionRules.from_settings(settings).settled, seed=settings.validation_seed)
    place = draw(settings.validation_seed, f"validation caption {picture.name}", 0, 0)
    return rules.drawn(picture.words, epoch=1, step=0, position=place)


@dataclass
class Validation:
    """`samples`: the pictures that are kept out. `modules`: what is put into evaluation mode meanwhile. `batch_size`:
    the training's, as long as the memory suffices.

    It is the LoRA as it would be saved that is validated: with use_ema the average.
    """

    context: JobContext
    settings: Settings
    samples: Samples
    network: LoraNetwork
    modules: Sequence[nn.Module]
    objective: Objective
    steps_per_epoch: int
    scaling_factor: float
    device: torch.device
    batch_size: int

    @classmethod
    def of(
        cls,
        context: JobContext,
        settings: Settings,
        samples: Samples | None,
        network: LoraNetwork,
        model: SDXL,
        steps_per_epoch: int,
        device: torch.device,
    ) -> Validation | None:
        """None where no pictures are kept out."""
        if samples is None:
            return None
        return cls(
            context=context,
            settings=settings,
            samples=samples,
            network=network,
            modules=(model.unet, model.text_encoder, model.text_encoder_2),
            objective=Objective.of(settings, device),
            steps_per_epoch=steps_per_epoch,
            scaling_factor=model.vae.config["scaling_factor"],
            device=device,
            batch_size=settings.train_batch_size,
        )

    def measure(self, step: int, predict: Predict, again: bool = False) -> None:
        """Measure after `step` and tell of it; with `again` only where that was not done before. A stop interrupts it:
        it is done when the training goes on. In batches of the training's size, or where memory is short in single
        looks; where that does not help either, a warning is all."""
        if again and was_told(read_all(self.context.run.events_path), step):
            return
        while True:
            try:
                return self._measure(step, self._looks(self.batch_size), predict)
            except Stopped:
                return
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            give_back(self.device)  # outside of the handler, whose error holds on to what was computed
            if self.batch_size == 1:
                break
            self.batch_size = 1
            message = f"The memory was too small for the validation at step {step}: it takes one picture at a time now."
            self.context.emit("oom", step=step, message=message, change={"validation_batch_size": 1})
        message = f"There is too little free memory to measure the validation loss after step {step}; training goes on."
        self.context.warn("validation-failed", message)

    def _measure(self, step: int, looks: Sequence[Sequence[Look]], predict: Predict) -> None:
        began = time.monotonic()
        errors: list[Tensor] = []
        with (
            self.context.phase("validating", sum(map(len, looks)), "looks") as progress,
            torch.no_grad(),
            self.network.as_saved(),
            evaluating(self.modules),
        ):
            for batch in looks:
                errors.append(self._errors(batch, predict))
                progress(progress.done + len(batch))
        self._tell(step, looks, torch.cat(errors).tolist(), time.monotonic() - began)

    def _tell(self, step: int, looks: Sequence[Sequence[Look]], errors: Sequence[float], seconds: float) -> None:
        by_timestep: defaultdict[int, list[float]] = defaultdict(list)
        for (_, timestep), error in zip((look for batch in looks for look in batch), errors, strict=True):
            by_timestep[timestep].append(error)
        self.context.emit(
            "validation",
            step=step,
            epoch=-(-step // self.steps_per_epoch),
            loss=fsum(errors) / len(errors),
            losses={str(t): fsum(values) / len(values) for t, values in sorted(by_timestep.items())},
            pictures=len(self.samples),
            seconds=round(seconds, 3),
        )

    def _looks(self, size: int) -> list[list[Look]]:
        """Every picture at every timestep, in batches of one shape and of `size` at most."""
        shapes: defaultdict[tuple[int, int], list[Look]] = defaultdict(list)
        for index, picture in enumerate(self.samples.pictures):
            shapes[picture.bucket] += [(index, timestep) for timestep in TIMESTEPS]
        return [looks[i : i + size] for _, looks in sorted(shapes.items()) for i in range(0, len(looks), size)]

    def _errors(self, looks: Sequence[Look], predict: Predict) -> Tensor:
        """The mean squared error of each look, (B,), on the device."""
        batch = self._batch(looks)
        target = self.objective.target(batch).float()
        predicted = predict(self.objective.noisy(batch), batch, batch.texts)
        errors = judged(predicted.float() - target, "l2")
        if batch.masks is not None:
            errors = errors * batch.masks[:, None]
        return errors.mean(dim=(1, 2, 3))

    def _batch(self, looks: Sequence[Look]) -> MicroBatch:
        samples = [self.samples.at(index) for index, _ in looks]
        pictures = [self.samples.pictures[index] for index, _ in looks]
        shape, seed = samples[0].mean.shape, self.settings.validation_seed
        noise = [
            torch.randn(shape, generator=generator(seed, f"validation noise {picture.name}", timestep, 0))
            for picture, (_, timestep) in zip(pictures, looks, strict=True)
        ]
        return MicroBatch(
            step=0,
            positions=range(len(looks)),
            latents=send(torch.stack([sample.mean for sample in samples]) * self.scaling_factor, self.device),
            noise=send(torch.stack(noise), self.device),
            timesteps=send(torch.tensor([timestep for _, timestep in looks]), self.device),
            texts=self.samples.texts.of([words_of(picture, self.settings) for picture in pictures]),
            time_ids=send(torch.stack([sample.time_ids for sample in samples]), self.device),
            weights=send(torch.ones(len(looks)), self.device),
            masks=masks_of(samples, self.device),
        )


@contextmanager
def evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Meanwhile nothing drops out."""
    training = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for module, was in zip(modules, training, strict=True):
            module.train(was)


def was_told(events: Iterable[Event], step: int) -> bool:
    """Whether the events of a run hold the validation of `step`, and no engine went back behind it later."""
    told = False
    for event in events:
        if event["kind"] == "validation" and event.get("step") == step:
            told = True
        elif event["kind"] == "resumed" and (event.get("from_step") or 0) < step:
            told = False
    return told
