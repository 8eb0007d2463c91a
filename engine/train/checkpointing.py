"""When a training's state is written, how many stay, and how a run finds the state it goes on from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator

from engine.context import JobContext
from engine.lora.network import LoraNetwork
from engine.plan.dataset import Dataset
from engine.plan.errors import UserError, few, inert, plural
from engine.plan.settings import Settings
from engine.runs import checkpoints
from engine.train import state
from engine.train.meter import Meter
from engine.train.state import Damaged, Position


@dataclass
class Checkpointer:
    """`begun` is what stays the same from one checkpoint to the next: the LoRA's name, the pictures and so on."""

    context: JobContext
    settings: Settings
    steps_per_epoch: int
    network: LoraNetwork
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    begun: Position
    step: int = 0  # of the newest checkpoint

    def write(self, step: int, meter: Meter) -> None:
        """Save the state after `step`, unless it is there already, and thin out older ones. Raises UserError."""
        if step <= self.step:
            return
        began = time.monotonic()
        epoch = (step - 1) // self.steps_per_epoch + 1
        position = replace(
            self.begun,
            step=step,
            epoch=epoch,
            epoch_step=step - (epoch - 1) * self.steps_per_epoch,
            recent=meter.recent,
        )
        run = self.context.run
        path = checkpoints.path_for(run, step)
        size = state.write(path, position, self.network, self.optimizer, self.accelerator)
        self.step = step
        self.context.emit(
            "checkpoint",
            step=step,
            epoch=epoch,
            path=path,
            bytes=size,
            seconds=round(time.monotonic() - began, 3),
        )
        for old in checkpoints.list_checkpoints(run)[: -self.settings.keep_last_n_checkpoints]:
            checkpoints.remove(run, old)
            self.context.emit("checkpoint-removed", path=old.path)

    def forget_after(self, step: int) -> None:
        """The training was taken back to `step`: later states are written again."""
        self.step = step


def newest(context: JobContext) -> Position:
    """Where the run's newest checkpoint that can be read stands; the beginning where there is none."""
    found = Position()
    for checkpoint in reversed(checkpoints.list_checkpoints(context.run)):
        try:
            return state.read_position(checkpoint.path)
        except Damaged as reason:
            _set_aside(context, checkpoint, reason)
    return found


def restore(
    context: JobContext,
    begun: Position,
    network: LoraNetwork,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> Position:
    """Put the newest checkpoint that can be read back into the network and the optimizer; returns where it stands.

    Damaged ones are set aside, and the one before is taken. Without any the training begins anew: `begun`. Raises
    UserError as `state.restore` does.
    """
    for checkpoint in reversed(checkpoints.list_checkpoints(context.run)):
        try:
            return state.restore(checkpoint.path, network, optimizer, accelerator)
        except Damaged as reason:
            _set_aside(context, checkpoint, reason)
    return begun


def _set_aside(context: JobContext, checkpoint: checkpoints.Checkpoint, reason: Damaged) -> None:
    kept = checkpoints.set_aside(checkpoint)
    context.emit("checkpoint-removed", path=checkpoint.path)
    context.warn(
        "checkpoint-damaged",
        f"The checkpoint of step {checkpoint.step} cannot be read ({inert(reason, 200)}); the one before it is taken. "
        f"The damaged one is kept as {inert(kept.name)}.",
    )


def pictures_of(dataset: Dataset) -> dict[str, list[object]]:
    """What a run must find again to go on: each picture that is trained or validated (with 0 repeats), its repeats, its
    bucket and its caption."""
    return {
        picture.name: [picture.repeats, *picture.bucket, picture.words]
        for picture in (*dataset.used, *dataset.validation)
    }


def refuse_other_pictures(
    context: JobContext, before: Mapping[str, list[object]], now: Mapping[str, list[object]]
) -> None:
    """Raises UserError when the pictures (`pictures_of`) are not those that the run was started with.

    Changed captions are only told: the training goes on with the new ones.
    """
    if changes := _differences(before, now):
        raise UserError(
            "pictures-changed",
            f"The pictures are not those that this run was started with ({'; '.join(changes)}), so it cannot go on.",
            "Put them back as they were, or start a new run.",
        )
    captions = [name for name, facts in now.items() if before[name][-1] != facts[-1]]
    if captions:
        context.warn(
            "captions-changed",
            f"{plural(len(captions), 'caption')} changed since the run was stopped: {inert(few(captions))}; "
            "the training goes on with the new ones.",
        )


def _differences(before: Mapping[str, list[object]], after: Mapping[str, list[object]]) -> list[str]:
    """In words: what came, what went, what is repeated or cropped otherwise. Captions do not count."""
    came, went = after.keys() - before.keys(), before.keys() - after.keys()
    other = [name for name in after.keys() & before.keys() if before[name][:-1] != after[name][:-1]]
    return [
        f"{len(names)} {what}: {inert(few(sorted(names)))}"
        for names, what in ((came, "more"), (went, "missing"), (other, "with other repeats or size"))
        if names
    ]
