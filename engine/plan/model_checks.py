"""Judgements on how the base model is kept and calculated: whether the packages that this needs are there."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.errors import Finding
from engine.plan.packages import is_installed
from engine.plan.remedy import set_line
from engine.plan.settings import Settings


def check_model_options(settings: Settings) -> Iterator[Finding]:
    """What is worth saying about `base_weights` and `attention`."""
    if settings.base_weights == "nf4" and not is_installed("bitsandbytes"):
        yield _not_installed("base_weights", "nf4", "bitsandbytes", "fp8")
    if settings.attention == "xformers" and not is_installed("xformers"):
        yield _not_installed("attention", "xformers", "xformers", "sdpa")


def _not_installed(option: str, value: str, package: str, instead: str) -> Finding:
    return Finding(
        f"{package}-not-installed",
        f"{option} {value} needs the package {package}, which is not installed.",
        set_line(option, f'"{instead}"'),
        level="error",
        option=option,
        value=instead,
        overridable=False,
    )
