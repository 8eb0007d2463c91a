"""The training loop, top to bottom: the rare things of a step first (stop, samples), then the step, then what follows.

Nothing in a step waits for the device: figures are fetched together by the meter, random numbers come from
(seed, step, position), and the LoRA is two tensors for the optimizer, the clipping and the max-norm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel

from engine.context import JobContext, Stopped
from engine.data.order import epoch_batches, optimizer_steps
from engine.data.samples import MicroBatch, Samples
from engine.lora.network import LoraNetwork
from engine.lora.norms import apply_max_norm_
from engine.plan.settings import Settings
from engine.plan.steps import Steps
from engine.train.loss import add_noise, alphas_cumprod, denoising_loss
from engine.train.meter import Meter, StepFacts
from engine.train.noise import Randomness, micro_batch
from engine.train.optimizers import effective_rates


@dataclass
class Training:
    """Everything the loop works with, made by `job`. `optimizer` is already prepared by `accelerator`.

    `save(step, epoch, last)` writes a LoRA and returns its path, `sample(step, epoch)` makes the sample pictures.
    """

    context: JobContext
    settings: Settings
    steps: Steps
    accelerator: Accelerator
    unet: UNet2DConditionModel
    dtype: torch.dtype  # the U-Net's: asking it anew walks through all its modules, milliseconds in every step
    network: LoraNetwork
    optimizer: torch.optim.Optimizer
    samples: Samples
    scaling_factor: float
    save: Callable[[int, int, bool], Path]
    sample: Callable[[int, int], None]


@dataclass
class Outcome:
    """What came of it: the LoRAs written, the last step, and whether the training reached its end."""

    loras: list[Path] = field(default_factory=list)
    step: int = 0
    complete: bool = False


def train_step(t: Training, batches: list[MicroBatch], alphas: torch.Tensor) -> torch.Tensor:
    """One optimizer step over `batches`. Returns (2,) on the device: the step's loss and its gradient norm.

    As with accelerate's gradient accumulation each batch's loss counts 1 / gradient_accumulation_steps, also in an
    epoch's last step, which may have fewer batches.
    """
    losses = []
    for batch in batches:
        noisy = add_noise(batch.latents, batch.noise, batch.timesteps, alphas)
        with t.accelerator.autocast():
            predicted = t.unet(
                noisy.to(t.dtype),
                batch.timesteps,
                encoder_hidden_states=batch.context.to(t.dtype),
                added_cond_kwargs={"text_embeds": batch.pooled.to(t.dtype), "time_ids": batch.time_ids},
                return_dict=False,
            )[0]
        loss = denoising_loss(predicted, batch.noise, batch.timesteps, batch.weights, alphas, t.settings.min_snr_gamma)
        t.accelerator.backward(loss / t.settings.gradient_accumulation_steps)
        losses.append(loss.detach())
    # a limit of infinity only measures, so that the norm is always known
    norm = t.accelerator.clip_grad_norm_(t.network.parameters, t.settings.max_grad_norm or float("inf"))
    t.optimizer.step()
    t.network.zero_grad()
    if t.settings.scale_weight_norms:
        apply_max_norm_(t.network, t.settings.scale_weight_norms)
    return torch.stack([torch.stack(losses).mean(), norm])


def train(t: Training) -> Outcome:
    """Train to the end of the last epoch, or until a stop is asked for; either way the LoRA is saved.

    Raises Stopped when the stop comes before the first step: there is no LoRA yet that would be worth a file.
    """
    s, outcome = t.settings, Outcome()
    device = t.accelerator.device
    alphas = alphas_cumprod(device)
    randomness = Randomness(s.seed, s.noise_offset, s.caption_dropout_rate)
    meter = Meter(t.context, device, scaled=t.accelerator.scaler is not None)
    saved_step = 0
    t.unet.train()  # gradient checkpointing only works in training mode; nothing in SDXL's U-Net drops out

    if s.sample_at_first:
        t.sample(0, 0)
    meter.resume_clock()
    for epoch in range(1, t.steps.epochs + 1):
        order = epoch_batches(t.samples.pictures, s.train_batch_size, s.seed, epoch)
        for epoch_step, group in enumerate(optimizer_steps(order, s.gradient_accumulation_steps), start=1):
            # once in a while: somebody asks to stop
            if t.context.stop_requested():
                meter.flush()
                if outcome.step == 0:
                    raise Stopped
                if saved_step < outcome.step:
                    outcome.loras.append(t.save(outcome.step, epoch, False))
                return outcome

            # a single training step
            step = outcome.step + 1
            batches, position = [], 0
            for indices in group:
                batches.append(
                    micro_batch(
                        [t.samples[i] for i in indices],
                        t.samples.empty,
                        randomness,
                        step=step,
                        first_position=position,
                        scaling_factor=t.scaling_factor,
                        device=device,
                    )
                )
                position += len(indices)
            rate, d = effective_rates(t.optimizer)
            figures = train_step(t, batches, alphas)
            meter.add(StepFacts(step, epoch, epoch_step, rate, d, position, figures))
            outcome.step = step

            # once in a while: sample pictures
            if s.sample_every_n_steps and step % s.sample_every_n_steps == 0:
                meter.flush()
                t.sample(step, epoch)
                meter.resume_clock()

        # after an epoch: its LoRA; the last one is the finished LoRA
        meter.flush()
        last = epoch == t.steps.epochs
        if last or (s.save_every_n_epochs and epoch % s.save_every_n_epochs == 0):
            outcome.loras.append(t.save(outcome.step, epoch, last))
            saved_step, meter.last_saved = outcome.step, outcome.loras[-1].name
            meter.resume_clock()
    outcome.complete = True
    return outcome
