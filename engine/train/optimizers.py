"""The optimizers of first light, over the network's flat buffers."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence

import torch
from prodigyopt import Prodigy
from torch import nn

from engine.plan.errors import UserError
from engine.plan.settings import Settings


def make_optimizer(settings: Settings, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer named by `optimizer_type` with `learning_rate` and `optimizer_args`.

    Raises UserError for an argument that the optimizer does not know.
    """
    kind = {"Prodigy": Prodigy, "AdamW": torch.optim.AdamW}[settings.optimizer_type]
    arguments = settings.optimizer_kwargs
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:  # prodigyopt prints "Using decoupled weight decay"
            optimizer: torch.optim.Optimizer = kind(parameters, lr=settings.learning_rate, **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(
            "bad-optimizer-args",
            f"{settings.optimizer_type} does not take optimizer_args {' '.join(settings.optimizer_args)!r} ({error}).",
            "Look at the option's help for the usual arguments.",
        ) from error
    if said.getvalue():
        logging.getLogger(__name__).info("%s: %s", settings.optimizer_type, said.getvalue().strip())
    return optimizer


def effective_rates(optimizer: torch.optim.Optimizer) -> tuple[float, float | None]:
    """The rate that the weights really move at, and Prodigy's estimate d (None for others); no device is asked."""
    group = optimizer.param_groups[0]
    d = group.get("d")
    return (group["lr"] * d, float(d)) if d is not None else (group["lr"], None)
