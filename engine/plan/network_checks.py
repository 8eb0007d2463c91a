"""Judgements on what the LoRA is made of: ranks, alphas, dropout, the average, and the LoRA that it starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.plan.errors import Finding, UserError
from engine.plan.files import existing_path
from engine.plan.remedy import set_line
from engine.plan.safetensors_header import read_header
from engine.plan.settings import Settings

MUCH_DROPOUT = 0.5


def check_network(settings: Settings, folder: Path) -> Iterator[Finding]:
    """What is worth saying about the network; `folder` is the project's, where relative paths are looked for first."""
    yield from _strength("network_alpha", settings.network_alpha, "network_dim", settings.network_dim)
    if settings.conv_dim:
        yield from _strength("conv_alpha", settings.conv_alpha, "conv_dim", settings.conv_dim)
    for name in ("network_dropout", "rank_dropout", "module_dropout"):
        share = getattr(settings, name)
        if share > MUCH_DROPOUT:
            yield Finding(
                "dropout-high",
                f"{name} {share:g} switches off more than half of the LoRA in every step: it hardly learns.",
                set_line(name, "0.1"),
                option=name,
                value=0.1,
            )
    if settings.network_weights:
        yield from _start(settings.network_weights, folder)


def _strength(alpha_name: str, alpha: float, dim_name: str, dim: int) -> Iterator[Finding]:
    factor, half = alpha / dim, dim / 2
    if factor > 1:
        yield Finding(
            "alpha-above-dim",
            f"{alpha_name} {alpha:g} is above {dim_name} {dim}, which multiplies the LoRA by {factor:.3g}: it learns "
            "too strongly and is hard to steer.",
            set_line(alpha_name, f"{half:g}"),
            option=alpha_name,
            value=half,
        )
    elif factor < 0.02:
        yield Finding(
            "alpha-tiny",
            f"{alpha_name} {alpha:g} is very small beside {dim_name} {dim}: the LoRA learns slowly.",
            set_line(alpha_name, f"{half:g}"),
            level="note",
            option=alpha_name,
            value=half,
        )


def _start(text: str, folder: Path) -> Iterator[Finding]:
    try:
        path = existing_path(text, folder)
        if path is None or not path.is_file():
            raise UserError("not-found", f"There is no file {text}.", "Check the spelling of the path.")
        names = read_header(path)[0]
    except UserError as error:
        yield Finding(
            "start-lora",
            f"network_weights: {error.message}",
            error.hint,
            level="error",
            option="network_weights",
            overridable=False,
        )
        return
    if not any("lora" in name for name in names):
        yield Finding(
            "start-lora",
            f"network_weights: {path} holds no LoRA.",
            "Give a LoRA file, or leave it empty to start from nothing.",
            level="error",
            option="network_weights",
            value="",
            overridable=False,
        )
