"""When a LoRA is saved, a sample is drawn and the validation loss is measured, and which saved LoRAs go again; after
sd-scripts, step by step.

Everything here is a function of the step, so a run that goes on does what an undisturbed one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.plan.settings import Settings


@dataclass(frozen=True)
class Due:
    """What is due after a step. step_lora: a LoRA under the step's own name. lora: of a finished epoch, or the last."""

    checkpoint: bool
    validation: bool
    sample: bool
    step_lora: bool
    lora: bool

    @property
    def anything(self) -> bool:
        return self.checkpoint or self.validation or self.sample or self.step_lora or self.lora


def due_after(settings: Settings, step: int, per_epoch: int, total: int) -> Due:
    """What is due after `step`, from 1, of `total`, with `per_epoch` steps an epoch."""
    last, (epoch, rest) = step == total, divmod(step, per_epoch)
    return Due(
        checkpoint=last or _every(step, settings.checkpoint_every_n_steps),
        validation=validation_due(settings, step, per_epoch),
        sample=sample_due(settings, step, per_epoch),
        step_lora=_every(step, settings.save_every_n_steps),
        lora=last or (rest == 0 and _every(epoch, settings.save_every_n_epochs)),
    )


def sample_due(settings: Settings, step: int, per_epoch: int) -> bool:
    """Whether pictures are drawn after `step`. Those of epochs leave out those of steps, as in sd-scripts
    (`train_util.sample_images_common`)."""
    if settings.sample_every_n_epochs:
        return step % per_epoch == 0 and _every(step // per_epoch, settings.sample_every_n_epochs)
    return _every(step, settings.sample_every_n_steps)


def sample_rounds(settings: Settings, per_epoch: int, total: int) -> int:
    """How often pictures are drawn in a whole training, those before its first step included."""
    every = settings.sample_every_n_epochs * per_epoch or settings.sample_every_n_steps
    return int(settings.sample_at_first) + (total // every if every else 0)


def validation_due(settings: Settings, step: int, per_epoch: int) -> bool:
    """Whether the validation loss is measured after `step`. As in sd-scripts that of steps comes on top of that of
    epochs; where both fall on one step it is measured once."""
    if not settings.validation_split:
        return False
    of_epoch = step % per_epoch == 0 and _every(step // per_epoch, settings.validate_every_n_epochs)
    return of_epoch or _every(step, settings.validate_every_n_steps)


def validation_rounds(settings: Settings, per_epoch: int, total: int) -> int:
    """How often the validation loss is measured in a whole training."""
    return sum(validation_due(settings, step, per_epoch) for step in range(1, total + 1))


def newest_epoch_to_go(settings: Settings, epoch: int) -> int:
    """Once the LoRA of `epoch` is saved: the newest epoch whose LoRA goes (that and all before it); 0 for none.

    `save_last_n_epochs` counts LoRAs (sd-scripts: `train_util.get_remove_epoch_no`).
    """
    if not settings.save_last_n_epochs:
        return 0
    return max(0, epoch - settings.save_every_n_epochs * settings.save_last_n_epochs)


def newest_step_to_go(settings: Settings, step: int) -> int:
    """Once the LoRA of `step` is saved: the newest step whose LoRA goes (that and all before it); 0 for none.

    `save_last_n_steps` counts steps, not LoRAs: saved every 10 with 30 to keep, 20 to 50 are there after step 50
    (sd-scripts: `train_util.get_remove_step_no`).
    """
    if not (settings.save_last_n_steps and settings.save_every_n_steps):
        return 0
    oldest = max(0, step - settings.save_last_n_steps - 1)
    return oldest - oldest % settings.save_every_n_steps


def most_loras(settings: Settings, total: int) -> int:
    """The most LoRAs that a training of `total` steps has on the disk at once."""
    every = settings.save_every_n_epochs
    of_epochs = (settings.max_train_epochs - 1) // every if every else 0
    if settings.save_last_n_epochs:  # a new one is whole before the oldest one goes
        of_epochs = min(of_epochs, settings.save_last_n_epochs + 1)
    of_steps = total // settings.save_every_n_steps if settings.save_every_n_steps else 0
    if settings.save_last_n_steps and settings.save_every_n_steps:
        of_steps = min(of_steps, settings.save_last_n_steps // settings.save_every_n_steps + 2)
    return 1 + of_epochs + of_steps


def _every(number: int, n: int) -> bool:
    return n > 0 and number % n == 0
