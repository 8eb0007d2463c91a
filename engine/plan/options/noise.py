"""Noise and loss."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

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
    noise_offset_random_strength: bool = option(
        False, "Random noise offset", "Noise and loss",
        "Each picture gets a noise offset between 0 and the one that is set, which is gentler than always the same.",
        usual="off", guide="off",
        words="dark bright contrast",
    )
    adaptive_noise_scale: float = option(
        0.0, "Adaptive noise offset", "Noise and loss",
        "Adds this much times a picture's own brightness and colour to its noise offset, so that dark and bright "
        "pictures get more of it; below 0 they get less, 0 is off.",
        usual="0, or about the noise offset", guide="0", limits=(-10.0, 10.0),
        words="dark bright contrast", step=0.01,
    )
    multires_noise_iterations: int = option(
        0, "Multires noise levels", "Noise and loss",
        "Adds coarse patterns to the noise, each level coarser: another way to very dark and very bright pictures, and "
        "more freedom in composition; 0 is off.",
        usual="0, or 6 to 10", guide="0", limits=(0, 64),
        words="pyramid noise dark bright contrast composition",
    )
    multires_noise_discount: float = option(
        0.3, "Multires noise discount", "Noise and loss",
        "How much each coarser level of multires noise counts, against the level before; only used with such levels.",
        usual="0.1 to 0.3 (up to 0.8 for a strong effect)", guide="0.3", limits=(0.0, 1.0),
        words="pyramid noise", step=0.05,
    )
    ip_noise_gamma: float = option(
        0.0, "Input perturbation", "Noise and loss",
        "Makes the model's task a little harder with noise that it is not told of, which helps against copying single "
        "pictures; 0 is off.",
        usual="0, or 0.05 to 0.1", guide="0", limits=(0.0, 1.0),
        words="overfitting regularisation ip noise", step=0.01,
    )
    ip_noise_gamma_random_strength: bool = option(
        False, "Random input perturbation", "Noise and loss",
        "Each picture gets an input perturbation between 0 and the one that is set.",
        usual="off", guide="off",
        words="overfitting ip noise",
    )
    min_timestep: int = option(
        0, "Lowest noise level", "Noise and loss",
        "Training uses no noise weaker than this, of 1000 levels: above 0 fine detail is left as the base model has "
        "it.",
        usual="0", guide="0", limits=(0, 999),
        words="timestep detail", step=50,
    )
    max_timestep: int = option(
        1000, "Highest noise level", "Noise and loss",
        "Training uses only noise weaker than this, of 1000 levels: below 1000 shapes and composition are left as the "
        "base model has them.",
        usual="1000", guide="1000", limits=(1, 1000),
        words="timestep composition", step=50,
    )
    v_parameterization: Literal["auto", "true", "false"] = option(
        "auto", "V-prediction", "Noise and loss",
        "Whether the base model predicts velocity instead of noise; auto reads that from the model itself, and the "
        "wrong choice gives burnt or empty pictures.",
        usual="auto", guide="off",
        words="v-pred vpred prediction type noobai burnt grey empty pictures",
    )
    zero_terminal_snr: Literal["auto", "true", "false"] = option(
        "auto", "Zero terminal SNR", "Noise and loss",
        "Whether the highest noise level leaves nothing of the picture, as many v-prediction models were trained; auto "
        "reads that from the model itself.",
        usual="auto", guide="off",
        words="ztsnr zsnr v-pred noobai dark bright contrast",
    )
    loss_type: Literal["l2", "l1", "huber", "smooth_l1"] = option(
        "l2", "Kind of loss", "Noise and loss",
        "How errors are counted: l2 counts large ones most, l1 all alike, huber and smooth_l1 are in between and "
        "forgive odd pictures.",
        usual="l2", guide="l2",
        words="huber outliers odd pictures",
    )
    huber_schedule: Literal["constant", "exponential", "snr"] = option(
        "snr", "Huber schedule", "Noise and loss",
        "How the bound between small and large errors follows the noise level: constant stays, exponential and snr "
        "lower it with more noise. Only used with huber or smooth_l1.",
        usual="snr", guide="snr",
        words="loss outliers",
    )
    huber_c: float = option(
        0.1, "Huber bound", "Noise and loss",
        "From which error on the loss counts it as large and forgives it; with a schedule this is the bound at the "
        "highest noise level. Only used with huber or smooth_l1.",
        usual="0.1", guide="0.1", limits=(0.0001, 10.0),
        words="loss outliers", step=0.05,
    )
    huber_scale: float = option(
        1.0, "Huber scale", "Noise and loss",
        "Multiplies the Huber bound, with the schedules constant and exponential. Only used with huber or smooth_l1.",
        usual="1", guide="1.0", limits=(0.0001, 1000.0),
        words="loss outliers", step=0.1,
    )
    min_snr_gamma: float = option(
        5.0, "Min-SNR gamma", "Noise and loss",
        "Evens out easy and hard noise levels, so that learning is quicker and steadier; 0 is off.",
        usual="5",
        guide="5 (it comes with the guide's preset, though the guide does not mention it)",
        limits=(0.0, 1000.0),
        words="snr loss weighting speed", step=0.5,
    )
    debiased_estimation_loss: bool = option(
        False, "Debiased loss", "Noise and loss",
        "Another way to even out noise levels, which counts strong noise more; use it instead of min-SNR gamma.",
        usual="off", guide="off",
        words="snr loss weighting",
    )
    scale_v_pred_loss_like_noise_pred: bool = option(
        False, "Scale the v-prediction loss", "Noise and loss",
        "For v-prediction models: weighs noise levels as an ordinary model's training does.",
        usual="off", guide="off",
        words="v-pred snr loss weighting",
    )
    v_pred_like_loss: float = option(
        0.0, "V-prediction-like loss", "Noise and loss",
        "For ordinary models: adds this much of the loss that a v-prediction model would have, which counts strong "
        "noise more; 0 is off.",
        usual="0", guide="0", limits=(0.0, 100.0),
        words="v-pred snr loss weighting", step=0.1,
    )
    prior_loss_weight: float = option(
        1.0, "Regularisation weight", "Noise and loss",
        "How much regularisation pictures count beside your own: less learns your subject faster and forgets the plain "
        "class sooner.",
        usual="0.5 to 1", guide="1.0", limits=(0.0, 100.0),
        words="regularisation reg class overfitting leak", step=0.1,
    )
    diff_output_preservation_multiplier: float = option(
        0.0, "Keep the class as it was", "Noise and loss",
        "Does what regularisation pictures do, without any: while it learns, the model is held to what it drew before "
        "for the same caption without your trigger word. 0 is off, 1 holds as strongly as it learns; a step then takes "
        "about two and a half times as long.",
        usual="0, or 0.5 to 1 where there are no regularisation pictures", guide="not there", limits=(0.0, 100.0),
        words="prior preservation prediction dop regularisation reg class leak forget", step=0.1,
    )
    # fmt: on

    @field_validator("v_parameterization", "zero_terminal_snr", mode="before")
    @classmethod
    def _switch_as_word(cls, value: object) -> object:
        """Other programs' files have true and false here, and no auto."""
        return str(value).lower() if isinstance(value, bool) else value
