"""The training loop, top to bottom: the rare things of a step first (what people ask for), then the step, then what is
due after it.

Nothing in a step waits for the device: figures are fetched together by the meter, random numbers come from
(seed, step, position), and the LoRA is two tensors for the optimizer, the clipping and the max-norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from torch import Tensor

from engine.context import JobContext
from engine.data.samples import MicroBatch, Samples
from engine.data.text_source import BatchTexts
from engine.device import give_back
from engine.lora.network import LoraNetwork
from engine.lora.norms import apply_max_norm_
from engine.plan.order import Batch, epoch_batches, optimizer_steps
from engine.plan.saving_times import due_after
from engine.plan.settings import Settings
from engine.plan.steps import Steps
from engine.train.commands import Commands
from engine.train.dry_run import DryRun
from engine.train.keeping import keep_state
from engine.train.loss import denoising_loss
from engine.train.meter import Meter, StepFacts
from engine.train.noise import Randomness, micro_batch
from engine.train.objective import Objective
from engine.train.oom import DoesNotFit, HalfMoved, Ladder, moving
from engine.train.optimizers import effective_rates
from engine.train.preservation import preservation_loss
from engine.train.processes import Processes, ProcessLost
from engine.train.schedule import Schedule
from engine.train.state import Position
from engine.train.validation import Validation


@dataclass
class Training:
    """Everything the loop works with, made by `job`. `optimizer` is already prepared by `accelerator`, and all is as it
    was after step `start.step`.

    `save(step, last)` writes a LoRA, `save_step(step)` one that is named by its step, `checkpoint(step, meter)` the
    whole state; all do nothing where that is done already. `sample(step, again)` makes the sample pictures (`again`:
    those that are not there yet) and tells whether they are there, `sample_asked(step, prompt, seed, name)` makes one
    that somebody wants now. `parked()` gives the tensors that a long pause can do without. `ladder`: what is done where
    a step does not fit into the memory; `rewind()` then takes a half-done step back, with all since the newest
    checkpoint. With `dry_run` it ends early and saves nothing. `validation`: the pictures that are kept out, where
    there are any.
    """

    context: JobContext
    settings: Settings
    steps: Steps
    processes: Processes
    accelerator: Accelerator
    unet: UNet2DConditionModel
    dtype: torch.dtype  # the U-Net's: asking it anew walks through all its modules, milliseconds in every step
    network: LoraNetwork
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    samples: Samples
    scaling_factor: float
    ladder: Ladder
    start: Position
    save: Callable[[int, bool], Path]
    save_step: Callable[[int], Path]
    checkpoint: Callable[[int, Meter], None]
    sample: Callable[[int, bool], bool]
    sample_asked: Callable[[int, str | None, int | None, str], list[Path]]
    parked: Callable[[], Iterable[Tensor]]
    rewind: Callable[[], Position]
    dry_run: DryRun | None = None
    validation: Validation | None = None

    def predict(self, noisy: Tensor, batch: MicroBatch, texts: BatchTexts) -> Tensor:
        """What the U-Net predicts from `noisy`, both (B, 4, h, w), and these texts."""
        context, pooled = texts.encoded()
        with self.accelerator.autocast():
            predicted: Tensor = self.unet(
                noisy.to(self.dtype),
                batch.timesteps,
                encoder_hidden_states=context.to(self.dtype),
                added_cond_kwargs={"text_embeds": pooled.to(self.dtype), "time_ids": batch.time_ids},
                return_dict=False,
            )[0]
            return predicted


@dataclass(frozen=True)
class Outcome:
    """The last step, and whether the training reached its end."""

    step: int
    complete: bool


def train_step(t: Training, batches: list[MicroBatch], objective: Objective, count: int | None = None) -> torch.Tensor:
    """One optimizer step over `batches`. Returns (2,) on the device: the step's loss and its gradient norm.

    As with accelerate's gradient accumulation each batch's loss counts 1 / gradient_accumulation_steps, also in an
    epoch's last step, which may have fewer batches. `count`: of how many whole batches these are the pieces; None where
    each is whole. Raises HalfMoved where memory runs out when the optimizer has begun.
    """
    losses = []
    for batch in batches:
        if t.network.dropout is not None:
            t.network.dropout.begin(batch.step, batch.positions, batch.latents.device)
        noisy = objective.noisy(batch)
        loss = backward(t, batch, denoising_loss(t.predict(noisy, batch, batch.texts), batch, objective))
        kept = preservation_loss(t.predict, t.network, noisy, batch, objective)
        losses.append(loss if kept is None else loss + backward(t, batch, kept))
    mean = torch.stack(losses).mean()
    if count is not None and count != len(batches):
        mean *= len(batches) / count
    t.processes.add_up_([mean, *(flat.grad for flat in t.network.parameters if flat.grad is not None)])
    # a limit of infinity only measures, so that the norm is always known
    norm = t.accelerator.clip_grad_norm_(t.network.parameters, t.settings.max_grad_norm or float("inf"))
    figures = torch.stack([mean, norm])
    with moving(batches[0].step, t.processes):
        t.optimizer.step()
        t.network.zero_grad()
        if t.settings.scale_weight_norms:
            apply_max_norm_(t.network, t.settings.scale_weight_norms)
        if t.network.average is not None:
            t.network.average.update(batches[0].step)
    return figures


def backward(t: Training, batch: MicroBatch, loss: Tensor) -> Tensor:
    """Add the gradients of `loss`, a mean over `batch`. Returns it as it counts in the whole batch."""
    if batch.share != 1.0:
        loss = loss * batch.share
    t.accelerator.backward(loss / t.settings.gradient_accumulation_steps)
    return loss.detach()


def whole_step(
    t: Training, group: list[Batch], epoch: int, step: int, objective: Objective, randomness: Randomness
) -> torch.Tensor:
    """`train_step` with what `group` names, sent to the device for it."""
    batches, position = [], 0
    for indices in group:
        for begin, own, share in t.ladder.pieces(*t.processes.own_part(indices)):
            batches.append(
                micro_batch(
                    t.samples.drawn(own, step, position + begin),
                    t.samples.texts,
                    randomness,
                    epoch=epoch,
                    step=step,
                    first_position=position + begin,
                    scaling_factor=t.scaling_factor,
                    device=t.accelerator.device,
                    share=share,
                    class_texts=t.samples.class_texts,
                )
            )
        position += len(indices)
    return train_step(t, batches, objective, len(group))


def train(t: Training) -> Outcome:
    """Train from `t.start` to the end of the last epoch, or until a stop is asked for; either way everything is saved,
    except in a dry run, which ends after its few steps.

    Raises Stopped when the stop comes before the first step: there is nothing yet that would be worth a file.
    """
    meter = Meter(t.context, t.accelerator.device, t.accelerator.scaler is not None, t.start.recent, t.samples.named)
    commands, start = Commands(t, meter), t.start
    while True:
        try:
            return train_from(t, start, meter, commands)
        except HalfMoved as lost:
            step = lost.step
        # Outside of the handler, whose error holds on to all that was computed.
        t.ladder.make_room(step, moved=True)
        start = t.rewind()
        meter.start_over(start.recent)
        if start.step < step - 1:
            t.context.emit("resumed", from_step=start.step)


def train_from(t: Training, start: Position, meter: Meter, commands: Commands) -> Outcome:
    """The same from `start`, as far as memory suffices for the optimizer; raises HalfMoved where it does not."""
    s, step = t.settings, start.step
    per_epoch, parts = t.steps.steps_per_epoch, [str(part.name) for part in t.network.parts]
    objective = Objective.of(s, t.accelerator.device)
    randomness = Randomness.of(s)

    if step:
        after_step(t, meter, step, again=True)  # what an engine before this one may not have come to
    elif s.sample_at_first and t.dry_run is None and t.processes.first:
        t.sample(0, t.context.continues or start is not t.start)
    meter.resume_clock()
    for epoch in range(step // per_epoch + 1, t.steps.epochs + 1):
        order = epoch_batches(t.samples.pictures, s.train_batch_size * t.processes.count, s.seed, epoch)
        done = step - (epoch - 1) * per_epoch  # of this epoch, before this engine
        for group in optimizer_steps(order, s.gradient_accumulation_steps)[done:]:
            # once in a while: somebody asks for something
            with saved_if_ended(t, meter, step):
                if t.processes.agree(t.processes.first and commands.obey(step)):
                    return Outcome(step, complete=False)

            # a single training step
            step += 1
            t.schedule.set(step)
            rates, d = effective_rates(t.optimizer)
            with saved_if_ended(t, meter, step - 1):  # it did not fit, or another process is lost
                figures = t.ladder.fitted(step, partial(whole_step, t, group, epoch, step, objective, randomness))
            lr = dict(zip(parts, rates, strict=True))
            seen = [index for indices in group for index in indices]
            if t.processes.first:
                meter.add(StepFacts(step, epoch, step - (epoch - 1) * per_epoch, lr, d, len(seen), figures, seen))

            after_step(t, meter, step)
            if t.dry_run is not None and t.dry_run.over(step):
                return Outcome(step, complete=True)
    return Outcome(step, complete=True)


def after_step(t: Training, meter: Meter, step: int, again: bool = False) -> None:
    """What is due after `step`: the checkpoint, the validation, the sample pictures, the LoRA of a step or an epoch.

    The checkpoint comes first: an engine that goes on from it does the rest again, as far as it is not there (`again`).
    Where the disk has no room for it, the LoRA does.
    Of several processes the first does it, while the others wait for its word before the next step.
    """
    if not t.processes.first:
        return
    if t.dry_run is not None:
        t.dry_run.after_step(t, meter, step)
        return
    last = step == t.steps.total
    due = due_after(t.settings, step, t.steps.steps_per_epoch, t.steps.total)
    if not due.anything:
        return
    meter.flush()
    if t.accelerator.device.type == "cpu":
        give_back(t.accelerator.device)  # saving and sampling need other pieces of memory than the steps
    if due.checkpoint:
        keep_state(t, meter, step)
    if due.validation and t.validation is not None:
        t.validation.measure(step, t.predict, again)
    if due.sample:
        t.sample(step, again)
    if due.step_lora:
        meter.last_saved = t.save_step(step).name
    if due.lora:
        meter.last_saved = t.save(step, last).name
    meter.resume_clock()


@contextmanager
def saved_if_ended(t: Training, meter: Meter, step: int) -> Iterator[None]:
    """Where another process is lost, or nothing makes the next step fit, the state after `step`, the last whole one, is
    kept before the run ends."""
    try:
        yield
    except (ProcessLost, DoesNotFit):
        if t.processes.first and t.dry_run is None:
            meter.flush()
            keep_state(t, meter, step)
        raise
