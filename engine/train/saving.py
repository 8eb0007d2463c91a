"""Saving LoRAs during and after training: what is written when, under which name, with which metadata."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import torch

from engine.context import JobContext
from engine.lora import metadata, weights
from engine.lora.network import LoraNetwork
from engine.plan.dataset import Dataset
from engine.plan.errors import UserError
from engine.plan.option_values import plain_name
from engine.plan.settings import Settings
from engine.train import output


class Saver:
    """Writes LoRAs under sd-scripts' names into the run's output/ and links them into the project's model/."""

    def __init__(
        self, context: JobContext, settings: Settings, dataset: Dataset, network: LoraNetwork, model_dir: Path
    ) -> None:
        job = context.job
        assert job.project is not None
        self.context, self.settings, self.dataset, self.network = context, settings, dataset, network
        self.started = time.time()
        self.model_dir = None if job.arguments.get("no_reg", False) else model_dir
        wanted = settings.output_name or plain_name(job.name)  # a kohya folder may be called anything
        self.name = output.free_name(self.model_dir, wanted) if self.model_dir else wanted
        if self.name != wanted:
            context.warn(
                "name-taken", f"{wanted} is taken by an earlier run, so this one's LoRA is called {self.name}."
            )
        digest = hashlib.sha256(str(context.run.path).encode()).digest()
        self.session_id = int.from_bytes(digest[:4], "little")
        self.published: list[Path] = []

    def save(self, step: int, epoch: int, last: bool) -> Path:
        """Write the LoRA as it is after `step`; `last`: it is the finished one. Returns its path in output/."""
        if last:
            file = f"{self.name}.safetensors"
        elif step == self.dataset.steps.steps_per_epoch * epoch:
            file = output.epoch_file(self.name, epoch)
        else:
            file = output.step_file(self.name, step)
        path = self.context.run.output_dir / file
        if not all(bool(torch.isfinite(flat).all()) for flat in self.network.parameters):
            raise UserError(
                "loss-not-finite",
                f"At step {step} the LoRA holds values that are not numbers, so it was not saved and training stopped.",
                "Use mixed_precision bf16 instead of fp16, or a lower learning rate.",
            )
        tensors = weights.state_dict(self.network, self.settings.save_precision)
        facts = metadata.build(
            self.settings,
            self.dataset,
            metadata.Progress(step // self.dataset.steps.steps_per_epoch, step, self.started, time.time()),
            output_name=self.name,
            trigger=self.context.job.trigger,
            session_id=self.session_id,
        )
        size = weights.write(path, tensors, facts)
        shown = output.publish(path, self.model_dir) if self.model_dir else path
        if shown.name != path.name:
            self.context.warn("name-taken", f"{path.name} lies in {shown.parent} already; this one is {shown.name}.")
        self.published.append(shown)
        self.context.emit("saved", path=path, epoch=epoch, step=step, bytes=size)
        return path
