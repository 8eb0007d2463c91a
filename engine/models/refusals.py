"""Base weights and attentions that cannot be had on this machine: refused before anything is loaded."""

from __future__ import annotations

import torch

from engine import device as devices
from engine.models.attention import XformersAttention
from engine.plan.errors import UserError
from engine.plan.model_checks import check_model_options
from engine.plan.remedy import set_line
from engine.plan.settings import Settings


def refuse_what_cannot_be_had(settings: Settings, device: torch.device, dtype: torch.dtype) -> None:
    """`dtype`: what the U-Net is calculated in. Raises UserError: a package that is missing (`…-not-installed`),
    `bad-base-weights`, `bad-attention`."""
    for finding in check_model_options(settings):
        if finding.level == "error":
            raise finding.as_error()
    where = devices.describe(device)
    if settings.base_weights != "full" and device.type not in ("cuda", "cpu"):
        raise UserError(
            "bad-base-weights",
            f"base_weights {settings.base_weights} needs an NVIDIA GPU; this run is on {where}.",
            set_line("base_weights", '"full"'),
        )
    if settings.attention == "xformers":
        mended = set_line("attention", '"sdpa"')
        if device.type != "cuda":
            message = f"attention xformers needs an NVIDIA GPU; this run is on {where}."
            raise UserError("bad-attention", message, mended)
        try:
            _attend(device, dtype)
        except Exception as error:  # an xformers that was built for another torch or card fails in many ways
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            message = f"The xformers that is installed does not work on {where}: {reason}"
            raise UserError("bad-attention", message, mended) from error


def _attend(device: torch.device, dtype: torch.dtype) -> None:
    """A small attention there and back."""
    tokens = torch.zeros(1, 16, 2, 64, device=device, dtype=dtype, requires_grad=True)
    XformersAttention().mixed(tokens, tokens, tokens, None).sum().backward()
