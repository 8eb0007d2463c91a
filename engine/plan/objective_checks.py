"""Judgements on noise, loss and prediction type: what contradicts the base model, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.base_model import BaseModel
from engine.plan.errors import Finding
from engine.plan.objective import as_trained
from engine.plan.options import by_name
from engine.plan.remedy import set_line
from engine.plan.settings import Settings

_HUBER = ("huber_schedule", "huber_c", "huber_scale")


def check_objective(settings: Settings, base: BaseModel | None) -> Iterator[Finding]:
    """What is worth saying; without a base model nothing that depends on what it predicts."""
    yield from _noise(settings)
    yield from _loss(settings)
    if base is not None:
        yield from _contradictions(settings, base)
        yield from _prediction(settings, as_trained(base, settings))


def _noise(settings: Settings) -> Iterator[Finding]:
    if settings.min_timestep >= settings.max_timestep:
        yield Finding(
            "no-timesteps",
            f"min_timestep {settings.min_timestep} is not below max_timestep {settings.max_timestep}, so no noise "
            "level is left to train.",
            set_line("min_timestep", "0"),
            level="error",
            option="min_timestep",
            value=0,
            overridable=False,
        )
    if not settings.noise_offset:
        yield from _without(settings, "noise_offset", "adaptive_noise_scale", "noise_offset_random_strength")
    if not settings.ip_noise_gamma:
        yield from _without(settings, "ip_noise_gamma", "ip_noise_gamma_random_strength")
    if not settings.multires_noise_iterations:
        yield from _without(settings, "multires_noise_iterations", "multires_noise_discount")
    elif settings.noise_offset:
        yield Finding(
            "multires-and-offset",
            "Noise offset and multires noise both let the LoRA learn dark and bright pictures; together they may be "
            "too much. Both are used.",
            set_line("noise_offset", "0"),
            level="note",
            option="noise_offset",
            value=0.0,
        )


def _without(settings: Settings, needed: str, *useless: str) -> Iterator[Finding]:
    """Options that only shape what another one switches on."""
    for name in useless:
        default = by_name()[name].default
        if getattr(settings, name) != default:
            yield Finding(
                "option-without-effect",
                f"{name} changes nothing while {needed} is 0.",
                set_line(name, str(default).lower()),
                option=name,
                value=default,
            )


def _loss(settings: Settings) -> Iterator[Finding]:
    if settings.loss_type not in ("huber", "smooth_l1"):
        unused = [name for name in _HUBER if getattr(settings, name) != by_name()[name].default]
        why = f"loss_type is {settings.loss_type}"
    else:
        unused = ["huber_scale"] if settings.huber_schedule == "snr" and settings.huber_scale != 1.0 else []
        why = "huber_schedule is snr"
    for name in unused:
        default = by_name()[name].default
        yield Finding(
            "option-without-effect",
            f"{name} changes nothing while {why}.",
            set_line(name, str(default)),
            option=name,
            value=default,
        )
    if settings.debiased_estimation_loss and settings.min_snr_gamma:
        yield Finding(
            "debiased-and-min-snr",
            "debiased_estimation_loss and min_snr_gamma both weigh the noise levels, and their weights are multiplied: "
            "nearly finished pictures hardly count any more.",
            set_line("min_snr_gamma", "0"),
            option="min_snr_gamma",
            value=0.0,
        )


def _contradictions(settings: Settings, base: BaseModel) -> Iterator[Finding]:
    """Settings that say something else than the base model's own marks."""
    velocity = base.prediction_type == "v_prediction"
    if velocity and settings.v_parameterization == "false":
        yield Finding(
            "v-prediction-ignored",
            "The base model says that it predicts velocity, but v_parameterization = false trains it as one that "
            "predicts noise: samples and the LoRA will be burnt or empty.",
            set_line("v_parameterization", '"auto"'),
            option="v_parameterization",
            value="auto",
            blocks_training=True,
        )
    elif not velocity and settings.v_parameterization == "true":
        yield Finding(
            "v-prediction-unmarked",
            "The base model does not say that it predicts velocity, but v_parameterization = true trains it so: if it "
            "is an ordinary SDXL model, samples and the LoRA will be burnt or empty.",
            set_line("v_parameterization", '"auto"'),
            option="v_parameterization",
            value="auto",
        )
    if as_trained(base, settings).prediction_type == "epsilon":
        return  # with zero-terminal SNR that is wrong for any model
    if base.zero_terminal_snr and settings.zero_terminal_snr == "false":
        yield Finding(
            "zero-terminal-snr-ignored",
            "The base model says zero-terminal SNR, but zero_terminal_snr = false trains it on SDXL's own noise "
            "levels, which are weaker: the LoRA will not fit its darkest and brightest pictures.",
            set_line("zero_terminal_snr", '"auto"'),
            option="zero_terminal_snr",
            value="auto",
        )
    elif not base.zero_terminal_snr and settings.zero_terminal_snr == "true":
        yield Finding(
            "zero-terminal-snr-unmarked",
            "The base model does not say zero-terminal SNR, but zero_terminal_snr = true trains and draws it with "
            "stronger noise: if it never saw that, samples come out odd.",
            set_line("zero_terminal_snr", '"auto"'),
            option="zero_terminal_snr",
            value="auto",
        )


def _prediction(settings: Settings, base: BaseModel) -> Iterator[Finding]:
    """`base`: as it is trained, whatever its marks say."""
    if base.prediction_type == "v_prediction":
        yield from _for_velocity(settings, base)
        return
    if base.zero_terminal_snr:
        yield Finding(
            "zero-terminal-snr-without-v",
            "zero_terminal_snr = true needs a v-prediction model: one that predicts noise learns nothing at the "
            "highest noise level, and its samples come out grey or broken.",
            set_line("zero_terminal_snr", '"auto"'),
            option="zero_terminal_snr",
            value="auto",
        )
    if settings.scale_v_pred_loss_like_noise_pred:
        yield Finding(
            "v-loss-without-v",
            "scale_v_pred_loss_like_noise_pred is for v-prediction models; this one predicts noise, and strong noise "
            "would hardly count.",
            set_line("scale_v_pred_loss_like_noise_pred", "false"),
            option="scale_v_pred_loss_like_noise_pred",
            value=False,
            blocks_training=True,
        )


def _for_velocity(settings: Settings, base: BaseModel) -> Iterator[Finding]:
    yield Finding(
        "v-prediction-model",
        f"The base model is trained with {base.prediction_in_words}; samples are drawn accordingly, and so must be all "
        "pictures with the finished LoRA.",
        level="note",
    )
    if settings.v_pred_like_loss:
        yield Finding(
            "v-like-loss-with-v",
            "v_pred_like_loss is for models that predict noise; this one predicts velocity already, and strong noise "
            "would outweigh all else.",
            set_line("v_pred_like_loss", "0"),
            option="v_pred_like_loss",
            value=0.0,
            blocks_training=True,
        )
    if base.zero_terminal_snr and settings.noise_offset:
        yield Finding(
            "offset-with-zero-terminal-snr",
            "With zero-terminal SNR dark and bright pictures are learnt without noise offset, which is better left "
            "out.",
            set_line("noise_offset", "0"),
            level="note",
            option="noise_offset",
            value=0.0,
        )
