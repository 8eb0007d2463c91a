"""The learning rate's way through the training, from transformers' and diffusers' schedules.

The rate of a step is a function of its number alone. So there is no state to keep, a resumed run has the same rates as
an undisturbed one, and accelerate, which steps a prepared scheduler once for each process, has no part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from diffusers.optimization import get_piecewise_constant_schedule
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler

from engine.context import JobContext
from engine.plan.errors import UserError, inert, plural
from engine.plan.settings import Settings
from engine.runs.job import Job


class Schedule:
    """Sets an optimizer's rates. Made before a checkpoint is restored: the rates that the groups have now are the full
    ones. `total`: optimizer steps of the whole training.

    Raises UserError `bad-schedule`.
    """

    def __init__(self, settings: Settings, optimizer: torch.optim.Optimizer, total: int) -> None:
        self._optimizer = optimizer
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._factor = factor(settings, total)

    def set(self, step: int) -> None:
        """The rate of `step`, from 1, for each group. What finds its rate by itself has None as one, and keeps it.

        As in sd-scripts, the first step of a warm-up has a rate of 0.
        """
        share = self._factor(step - 1)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            if rate is not None:
                group["lr"] = rate * share


def tell_of_another_length(context: JobContext, settings: Settings, steps_per_epoch: int, done: int) -> None:
    """Warn where a run goes on after `done` steps with another number of epochs than it began with, and its schedule
    goes by the length: then its rates are those of no single training."""
    run = context.run
    first = Job.read(run.first_job_path).settings
    if not done or first is None or first.max_train_epochs == settings.max_train_epochs:
        return
    before, now = (factor(s, s.max_train_epochs * steps_per_epoch) for s in (first, settings))
    if any(before(step) != now(step) for step in range(done)):
        context.warn(
            "schedule-of-another-length",
            f"The run began with {plural(first.max_train_epochs, 'epoch')} and has {settings.max_train_epochs} now: "
            f"lr_scheduler {settings.schedule} goes by the length, so the rate goes on at {now(done):.3g} of "
            "learning_rate, and the result is not that of a training which had this length from the start.",
        )


def factor(settings: Settings, total: int) -> Callable[[int], float]:
    """What the full rate is multiplied by, after so many steps. Arguments as sd-scripts gives them
    (`train_util.get_scheduler_fix`).

    Raises UserError `bad-schedule` for what the libraries' schedule does not take.
    """
    if settings.finds_its_own_rate:
        return lambda done: 1.0
    # The libraries hang a schedule on an optimizer. This one is never stepped: only the schedule's function is wanted.
    bearer = torch.optim.SGD([torch.zeros(1)], lr=settings.learning_rate)
    warmup, given = settings.warmup_steps(total), settings.scheduler_kwargs
    try:
        if settings.schedule == "piecewise_constant":
            scheduler = get_piecewise_constant_schedule(bearer, **given)
        else:
            arguments = _arguments(settings, total) | given
            scheduler = get_scheduler(settings.schedule, bearer, warmup, total, arguments)
        function: Callable[[int], float] = cast(LambdaLR, scheduler).lr_lambdas[0]
        for done in (0, min(warmup, total - 1), total - 1):
            function(done)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            "bad-schedule",
            f"lr_scheduler {settings.schedule} does not work with the other settings of the schedule "
            f"({inert(reason, 200)}).",
            "Look at lr_warmup_steps, lr_decay_steps, lr_scheduler_args and learning_rate.",
        ) from error
    return function


def _arguments(settings: Settings, total: int) -> dict[str, Any]:
    match settings.schedule:
        case "cosine_with_restarts":
            return {"num_cycles": settings.lr_scheduler_num_cycles}
        case "polynomial":
            return {"power": settings.lr_scheduler_power}
        case "cosine_with_min_lr":
            return {
                "num_cycles": settings.lr_scheduler_num_cycles / 2,
                "min_lr_rate": settings.lr_scheduler_min_lr_ratio,
            }
        case "warmup_stable_decay":
            return {
                "num_decay_steps": settings.decay_steps(total),
                "num_cycles": settings.lr_scheduler_num_cycles / 2,
                "min_lr_ratio": settings.lr_scheduler_min_lr_ratio,
            }
    return {}
