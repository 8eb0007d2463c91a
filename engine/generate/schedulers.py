"""The walk from noise to picture: diffusers' scheduler for a sampler's name and a base model."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import diffusers
import torch
from diffusers import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import rescale_zero_terminal_snr

from engine.plan.samplers import find, require

NEARLY_ZERO = 2**-24
"""ᾱ at the end of a zero-terminal-SNR schedule: samplers divide by its root, so diffusers' own have this for 0."""

_OF_THE_MODEL = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
    "timestep_spacing",
    "steps_offset",
)
"""What of a model's own configuration every sampler has to know; the rest belongs to the sampler it was saved with."""


def make_scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """A fresh scheduler, which remembers nothing of other pictures, for a model with the scheduler configuration
    `config`. Raises UserError `unknown-sampler`, `sampler-needs-package`."""
    known = {key: config[key] for key in _OF_THE_MODEL if key in config}
    return copy.deepcopy(_made(name, json.dumps(known, sort_keys=True)))


def steps_of(name: str, config: Mapping[str, Any], steps: int) -> int:
    """How often the U-Net is asked for a picture of `steps` steps: some samplers look twice at most of them."""
    scheduler = make_scheduler(name, config)
    scheduler.set_timesteps(steps)
    return len(scheduler.timesteps)


@lru_cache(maxsize=32)
def _made(name: str, config: str) -> Any:
    """One that nobody uses: making one of the DPM2 kind takes half a second, copying it none."""
    sampler, known = find(name), json.loads(config)
    require(sampler)
    kind = getattr(diffusers, sampler.scheduler)
    taken = inspect.signature(kind.__init__).parameters
    if known.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in taken:
        known["trained_betas"] = _zero_terminal_betas(known)
    return kind(**{key: value for key, value in known.items() if key in taken}, **sampler.arguments)


def _zero_terminal_betas(known: Mapping[str, Any]) -> list[float]:
    """The betas of a zero-terminal-SNR schedule, for schedulers that cannot make them themselves (Lin et al. 2023,
    algorithm 1), with ᾱ ending at `NEARLY_ZERO`."""
    plain = EulerDiscreteScheduler(**{**known, "rescale_betas_zero_snr": False})
    betas = rescale_zero_terminal_snr(plain.betas.double())
    betas[-1] = 1 - NEARLY_ZERO / torch.cumprod(1 - betas, 0)[-2]
    return list(betas.tolist())
