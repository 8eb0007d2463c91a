"""The state after a step is kept, and where the disk has no room for it the LoRA all the same: a fraction of its size.

A checkpoint holds the optimizer's state too. Whoever trained all night is to have the LoRA of it.
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from engine.plan.errors import UserError, inert
from engine.train.meter import Meter

if TYPE_CHECKING:
    from engine.train.loop import Training


def keep_state(t: Training, meter: Meter, step: int) -> None:
    """The checkpoint of `step`, unless it is there. Of the last step it is not worth a training: that ends well with
    the LoRA alone. Of others the LoRA is saved before the error is raised. Raises UserError and OSError."""
    last = step == t.steps.total
    if last and _too_little_room(t):
        _save(t, meter, step, last)
    try:
        t.checkpoint(step, meter)
    except (UserError, OSError) as error:
        if not _save(t, meter, step, last):
            raise
        if not last:
            if isinstance(error, UserError):
                message = f"{error.message} The LoRA of step {step} is saved."
                raise UserError(error.code, message, error.hint) from error
            raise
        why = error.message if isinstance(error, UserError) else f"{inert(error, 200)}."
        t.context.warn(
            "checkpoint-failed",
            f"{why} That is the state after the last step; the LoRA is saved. A longer training would go on from an "
            "earlier one.",
        )


def _too_little_room(t: Training) -> bool:
    """Whether what the disk has free is less than the checkpoint and the LoRA; False where it does not tell."""
    needs = t.context.shortage.disk_bytes
    try:
        return needs is not None and shutil.disk_usage(t.context.run.path).free < needs
    except OSError:
        return False


def _save(t: Training, meter: Meter, step: int, last: bool) -> bool:
    """The LoRA of `step`; False where it cannot be saved either, which whoever is to save it says."""
    try:
        meter.last_saved = t.save(step, last).name
    except Exception as error:
        logging.getLogger(__name__).warning("The LoRA of step %d could not be saved: %s", step, inert(error, 200))
        return False
    return True
