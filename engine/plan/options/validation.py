"""Pictures that are kept out of the training, to see how well the LoRA does on what it has not learnt."""

from __future__ import annotations

from engine.plan.option import OptionGroup, option


class ValidationOptions(OptionGroup):
    """Pictures that are kept out of the training, to see how well the LoRA does on what it has not learnt."""

    # fmt: off
    validation_split: float = option(
        0.0, "Share for validation", "Validation",
        "Keeps this share of your pictures out of the training (0.1: every tenth) and measures on them how well the "
        "LoRA does on what it has not learnt: once that loss rises, it learns your pictures by heart. 0 trains all of "
        "them.",
        usual="0, or 0.1 with 50 pictures and more", guide="not set", limits=(0.0, 1.0),
        words="overfitting overtraining validation loss curve", step=0.05,
    )
    validation_seed: int = option(
        42, "Seed of the validation", "Validation",
        "Which pictures are kept out, and with which noise they are looked at. Leave it, and the validation losses of "
        "several trainings on the same pictures can be compared, whatever else was set.",
        usual="42", guide="not set", limits=(0, 2**32 - 1),
        words="random reproduce compare",
    )
    validate_every_n_epochs: int = option(
        1, "Validate every n epochs", "Validation",
        "Measures after every n-th epoch; each time, every picture that was kept out is looked at four times. 0 leaves "
        "it to the steps. Does nothing while no pictures are kept out.",
        usual="1", guide="not set", limits=(0, 100_000),
        words="overfitting loss curve time",
    )
    validate_every_n_steps: int = option(
        0, "Validate every n steps", "Validation",
        "Measures after every n-th step as well, for a finer curve; 0 measures after epochs only.",
        usual="0, or 50 to 250", guide="not set", limits=(0, 10_000_000),
        words="overfitting loss curve time", step=50,
    )
    # fmt: on
