"""Which parts of the model a training changes, each at which learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from engine.plan.errors import Finding
from engine.plan.options.parts import parse_rates
from engine.plan.remedy import set_line
from engine.plan.settings import Settings

Part = Literal["unet", "text_encoder_1", "text_encoder_2"]
"""The models that a LoRA can change."""
PARTS: tuple[Part, ...] = ("unet", "text_encoder_1", "text_encoder_2")
"""In the order of its file."""


def rates(settings: Settings) -> dict[Part, float]:
    """The learning rate of each part that is trained, by its name."""
    texts = parse_rates(settings.text_encoder_lr) or [settings.learning_rate]
    unet = parse_rates(settings.unet_lr) or [settings.learning_rate]
    every: dict[Part, float] = {"unet": unet[0], "text_encoder_1": texts[0], "text_encoder_2": texts[-1]}
    return {part: every[part] for part in PARTS if getattr(settings, f"train_{part}")}


def rate_options(settings: Settings) -> dict[str, list[float]]:
    """The options that the rates of the trained parts come from, and these rates."""
    found: dict[str, list[float]] = {}
    for part, rate in rates(settings).items():
        own = "unet_lr" if part == "unet" else "text_encoder_lr"
        found.setdefault(own if getattr(settings, own) else "learning_rate", []).append(rate)
    return found


def trains_text(settings: Settings) -> bool:
    """Whether a text encoder is trained."""
    return settings.train_text_encoder_1 or settings.train_text_encoder_2


def encodes_ahead(settings: Settings) -> bool:
    """Whether captions are encoded once, before the training; text encoders that change do it in each step."""
    return settings.cache_text_encoder_outputs and not trains_text(settings)


def check_parts(settings: Settings) -> Iterator[Finding]:
    """What is worth saying about what is trained."""
    found = rates(settings)
    if not found:
        yield Finding(
            "nothing-trained",
            "Neither the U-Net nor a text encoder is trained, so there is nothing to do.",
            set_line("train_unet", "true"),
            level="error",
            option="train_unet",
            value=True,
            overridable=False,
        )
    if settings.optimizer_type == "Prodigy" and len(set(found.values())) > 1:
        option = "text_encoder_lr" if settings.text_encoder_lr else "unet_lr"
        yield Finding(
            "prodigy-one-rate",
            "Prodigy finds one step size for all and refuses different learning rates: "
            + ", ".join(f"{part} {rate:g}" for part, rate in found.items())
            + ".",
            f"Leave {option} empty, or use AdamW.",
            level="error",
            option=option,
            value="",
            overridable=False,
        )
    for option, trained in (("unet_lr", settings.train_unet), ("text_encoder_lr", trains_text(settings))):
        if getattr(settings, option) and not trained:
            yield Finding(
                "rate-unused",
                f"{option} is set, but that part is not trained.",
                "Leave it empty, or switch the part on.",
                level="note",
                option=option,
                value="",
            )
