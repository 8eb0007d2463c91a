"""Noise and loss."""

from __future__ import annotations

from engine.plan.option import OptionGroup, option


class NoiseOptions(OptionGroup):
    """Noise and loss."""

    # fmt: off
    noise_offset: float = option(
        0.1, "Noise offset", "Noise and loss",
        "Lets the LoRA learn pictures that are very dark or very bright as a whole; too much makes all of them harsh.",
        usual="0 to 0.1 (SDXL itself was trained with 0.0357)", guide="0.1", limits=(0.0, 1.0),
        words="dark bright contrast", step=0.01,
    )
    min_snr_gamma: float = option(
        5.0, "Min-SNR gamma", "Noise and loss",
        "Evens out easy and hard noise levels, so that learning is quicker and steadier; 0 is off.",
        usual="5",
        guide="5 (it comes with the guide's preset, though the guide does not mention it)",
        limits=(0.0, 1000.0),
        words="snr loss weighting speed", step=0.5,
    )
    prior_loss_weight: float = option(
        1.0, "Regularisation weight", "Noise and loss",
        "How much regularisation pictures count beside your own: less learns your subject faster and forgets the plain "
        "class sooner.",
        usual="0.5 to 1", guide="1.0", limits=(0.0, 100.0),
        words="regularisation reg class overfitting leak", step=0.1,
    )
    # fmt: on
