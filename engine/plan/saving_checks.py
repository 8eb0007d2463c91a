"""Judgements on what is saved on the way, and what of it goes again."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.errors import Finding
from engine.plan.remedy import set_line
from engine.plan.settings import Settings


def check_saving(settings: Settings) -> Iterator[Finding]:
    """What is worth saying about the LoRAs and samples of a training."""
    if settings.save_every_n_epochs > settings.max_train_epochs and not settings.save_every_n_steps:
        yield Finding(
            "saved-at-the-end-only",
            f"With save_every_n_epochs {settings.save_every_n_epochs} and {settings.max_train_epochs} epochs, only the "
            "last LoRA is saved.",
            level="note",
        )
    for last, every in (
        ("save_last_n_epochs", "save_every_n_epochs"),
        ("save_last_n_steps", "save_every_n_steps"),
    ):
        if getattr(settings, last) and not getattr(settings, every):
            yield Finding(
                "nothing-to-thin",
                f"{last} does nothing while {every} is 0.",
                set_line(last, "0"),
                option=last,
                value=0,
            )
    if settings.sample_every_n_epochs > settings.max_train_epochs:
        yield Finding(
            "no-samples",
            f"With sample_every_n_epochs {settings.sample_every_n_epochs} and {settings.max_train_epochs} epochs, no "
            "samples are drawn.",
            set_line("sample_every_n_epochs", "1"),
            option="sample_every_n_epochs",
            value=1,
        )
