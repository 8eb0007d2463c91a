"""Judgements on the validation: nothing left on one side of the split, options that do nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.plan.dataset import Dataset
from engine.plan.errors import Finding, plural
from engine.plan.remedy import set_line
from engine.plan.settings import Settings


def check_validation(settings: Settings, dataset: Dataset | None) -> Iterator[Finding]:
    """What is worth saying about the validation; dataset: None where the pictures were not read."""
    if dataset is not None:
        yield from refused(settings, dataset)
    if settings.validation_split and not (settings.validate_every_n_epochs or settings.validate_every_n_steps):
        yield Finding(
            "never-validated",
            f"validation_split {settings.validation_split:g} keeps pictures out of the training, and they are never "
            "looked at: validate_every_n_epochs and validate_every_n_steps are 0.",
            set_line("validate_every_n_epochs", "1"),
            option="validate_every_n_epochs",
            value=1,
        )
    if settings.validate_every_n_steps and not settings.validation_split:
        yield Finding(
            "nothing-to-validate",
            "validate_every_n_steps does nothing while validation_split is 0: no pictures are kept out to validate.",
            set_line("validation_split", "0.1"),
            level="note",
            option="validation_split",
            value=0.1,
        )


def refused(settings: Settings, dataset: Dataset) -> Iterator[Finding]:
    """A split that leaves nothing to train on, or nothing to validate."""
    share, count = settings.validation_split, len(dataset.used_of("train"))
    if not share or dataset.validation:
        return
    least = math.ceil(100 / count) / 100  # that one picture is to be validated
    if count < 2:
        why, mended = "it takes two, one to train and one to validate", 0.0
    elif share > 0.5:
        why, mended = "none would be left to train", max(0.1, least)
    else:
        why, mended = "none would be left to validate", least
    yield Finding(
        "validation-split-empty",
        f"validation_split {share:g} of {plural(count, 'picture')}: {why}.",
        set_line("validation_split", f"{mended:g}"),
        level="error",
        option="validation_split",
        value=mended,
        overridable=False,
    )
