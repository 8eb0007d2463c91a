"""Judgements on a project before it is trained: what is likely to disappoint, why, and the setting that mends it.

Each check is a small function that yields findings; `dataset.scan` finds what is wrong with the files themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from engine.plan.base_model import BaseModel, recognise
from engine.plan.caption_checks import check_captions
from engine.plan.captions import has_word
from engine.plan.dataset import Dataset
from engine.plan.dataset_checks import check_bucket_shapes, check_dataset
from engine.plan.disk import check_disk
from engine.plan.errors import Finding, UserError
from engine.plan.network_checks import check_network
from engine.plan.project import Project
from engine.plan.remedy import set_line
from engine.plan.settings import Settings
from engine.plan.trained_parts import check_parts
from engine.plan.vae import check_vae

PRODIGY_LOWEST = 0.1
"""Under this Prodigy hardly learns: its step is d × learning_rate, and d, which starts at 0.0001, does not grow.
At 0.0003 it stays at its start for 1500 steps, where 1.0 brings it to 0.08."""

ADAMW_HIGHEST = 0.01
ADAMW_LEFT_OVER = 0.1
"""From here on a learning rate for AdamW is one that was left over from Prodigy: it destroys the LoRA."""

# What each optimizer's class takes beside `params` and `lr`: prodigyopt 1.1.2, torch 2.
OPTIMIZER_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "Prodigy": frozenset(
        {
            "beta3",
            "betas",
            "d0",
            "d_coef",
            "decouple",
            "eps",
            "fsdp_in_use",
            "growth_rate",
            "safeguard_warmup",
            "slice_p",
            "use_bias_correction",
            "weight_decay",
        }
    ),
    "AdamW": frozenset(
        {"amsgrad", "betas", "capturable", "differentiable", "eps", "foreach", "fused", "maximize", "weight_decay"}
    ),
}


def check_settings(settings: Settings, dataset: Dataset | None, project: Project) -> list[Finding]:
    """What is worth saying about these settings for this project; dataset: None where its pictures were not read.

    A base model that is missing or wrong is an error among the findings, not an exception.
    """
    base: BaseModel | None = None
    findings: list[Finding] = []
    try:
        base = recognise(settings.pretrained_model_name_or_path, project.path)
    except UserError as error:
        findings.append(_refused_base(error))
    findings += _learning(settings)
    findings += _optimizer_arguments(settings)
    findings += check_parts(settings)
    findings += check_vae(settings.vae, project.path)
    findings += check_network(settings, project.path)
    findings += _noise_and_loss(settings)
    findings += check_captions(settings)
    findings += _sizes(settings, base)
    findings += _saving_and_samples(settings, project)
    if dataset is not None:
        findings += check_dataset(settings, dataset, project)
        if base is not None:
            findings += check_bucket_shapes(dataset, base)
            findings += check_disk(settings, dataset, base, project)
    return findings


def _refused_base(error: UserError) -> Finding:
    return Finding(
        error.code,
        error.message,
        error.hint,
        level="error",
        option="pretrained_model_name_or_path",
        value="micro" if error.code == "no-base-model" else None,
        overridable=False,
    )


def _learning(settings: Settings) -> Iterator[Finding]:
    rate = settings.learning_rate
    if settings.optimizer_type == "Prodigy":
        if rate < PRODIGY_LOWEST:
            yield Finding(
                "prodigy-learning-rate",
                f"With Prodigy and learning_rate = {rate:g} the LoRA learns almost nothing: Prodigy finds the size of "
                "its steps by itself, and learning_rate only multiplies it.",
                set_line("learning_rate", "1.0"),
                option="learning_rate",
                value=1.0,
                blocks_training=True,
            )
        elif rate > 2:
            yield Finding(
                "prodigy-learning-rate-high",
                f"With Prodigy learning_rate is a multiplier that stands at 1.0; {rate:g} makes every step too long.",
                set_line("learning_rate", "1.0"),
                option="learning_rate",
                value=1.0,
            )
    elif rate > ADAMW_HIGHEST:
        left_over = rate >= ADAMW_LEFT_OVER
        yield Finding(
            "adamw-learning-rate",
            f"learning_rate = {rate:g} is far too high for AdamW"
            + (": it is Prodigy's, and the LoRA would be noise." if left_over else "; pictures will come out burnt."),
            set_line("learning_rate", "0.0001"),
            option="learning_rate",
            value=0.0001,
            blocks_training=left_over,
        )
    elif rate == 0:
        yield Finding(
            "learning-rate-zero",
            "With learning_rate = 0 nothing is learnt.",
            set_line("learning_rate", "0.0001"),
            option="learning_rate",
            value=0.0001,
            blocks_training=True,
        )


def _optimizer_arguments(settings: Settings) -> Iterator[Finding]:
    known = OPTIMIZER_ARGUMENTS[settings.optimizer_type]
    wrong = [argument for argument in settings.optimizer_args if argument.partition("=")[0].strip() not in known]
    if wrong:
        right = [argument for argument in settings.optimizer_args if argument not in wrong]
        names = ", ".join(argument.partition("=")[0].strip() for argument in wrong)
        shown = json.dumps(right, ensure_ascii=False)
        # sd-scripts' form, unless a space inside an argument would tear it apart.
        typed = shown if any(argument.split() != [argument] for argument in right) else " ".join(right)
        yield Finding(
            "optimizer-args-unknown",
            f"{settings.optimizer_type} has no argument {names}.",
            set_line("optimizer_args", shown, typed),
            level="error",
            option="optimizer_args",
            value=right,
            overridable=False,
        )


def _noise_and_loss(settings: Settings) -> Iterator[Finding]:
    if settings.noise_offset > 0.2:
        yield Finding(
            "noise-offset-high",
            f"noise_offset {settings.noise_offset:g} is high: pictures come out harsh or washed out.",
            set_line("noise_offset", "0.1"),
            option="noise_offset",
            value=0.1,
        )
    if 0 < settings.min_snr_gamma < 1:
        yield Finding(
            "min-snr-gamma-low",
            f"min_snr_gamma {settings.min_snr_gamma:g} takes most of the weight from nearly finished pictures; 0 "
            "switches it off.",
            set_line("min_snr_gamma", "5.0"),
            option="min_snr_gamma",
            value=5.0,
        )


def _sizes(settings: Settings, base: BaseModel | None) -> Iterator[Finding]:
    step = base.bucket_reso_steps if base else 8
    model = "this base model" if base and base.size == "micro" else "SDXL"
    if settings.enable_bucket and settings.bucket_reso_steps % step:
        mended = -(-settings.bucket_reso_steps // step) * step
        yield Finding(
            "bucket-step",
            f"bucket_reso_steps {settings.bucket_reso_steps} is not a multiple of {step}, which {model} needs.",
            set_line("bucket_reso_steps", str(mended)),
            level="error",
            option="bucket_reso_steps",
            value=mended,
            overridable=False,
        )
    if not settings.enable_bucket and any(side % step for side in settings.size):
        sides = ",".join(str(max(step, round(side / step) * step)) for side in settings.size)
        yield Finding(
            "resolution-step",
            f"Without buckets, both sides of resolution {settings.resolution} must be multiples of {step}.",
            set_line("resolution", f'"{sides}"'),
            level="error",
            option="resolution",
            value=sides,
            overridable=False,
        )
    if settings.enable_bucket and not settings.bucket_no_upscale:
        yield from _bucket_limits(settings)
    if base is not None:
        yield from _resolution_for(settings, base)


def _bucket_limits(settings: Settings) -> Iterator[Finding]:
    """sd-scripts stops at an assertion here; the limits only count where pictures may be enlarged."""
    shortest, longest = min(settings.size), max(settings.size)
    for option, value, wrong, mended in (
        ("min_bucket_reso", settings.min_bucket_reso, settings.min_bucket_reso > shortest, shortest),
        ("max_bucket_reso", settings.max_bucket_reso, settings.max_bucket_reso < longest, longest),
    ):
        if wrong:
            yield Finding(
                "bucket-limits",
                f"{option} {value} leaves no room for the resolution {settings.resolution}.",
                set_line(option, str(mended)),
                level="error",
                option=option,
                value=mended,
                overridable=False,
            )


def _resolution_for(settings: Settings, base: BaseModel) -> Iterator[Finding]:
    width, height = settings.size
    right = "96,96" if base.size == "micro" else "1024,1024"
    if base.size == "micro" and width * height > 160**2:
        yield Finding(
            "resolution-high",
            f"The practice model was made for pictures of 96 pixels; at {settings.resolution} it is slow and draws "
            "nonsense.",
            f'{set_line("resolution", chr(34) + right + chr(34))} (or all of the demo\'s settings: preset = "demo" in '
            "[project])",
            option="resolution",
            value=right,
        )
    elif base.size == "sdxl" and width * height < 768**2:
        yield Finding(
            "resolution-low",
            f"SDXL was made for about 1024×1024 pixels; at {settings.resolution} it learns a poorer likeness.",
            set_line("resolution", f'"{right}"'),
            option="resolution",
            value=right,
        )


def _saving_and_samples(settings: Settings, project: Project) -> Iterator[Finding]:
    if settings.save_every_n_epochs > settings.max_train_epochs:
        yield Finding(
            "saved-at-the-end-only",
            f"With save_every_n_epochs {settings.save_every_n_epochs} and {settings.max_train_epochs} epochs, only the "
            "last LoRA is saved.",
            level="note",
        )
    if not project.trigger:
        yield Finding(
            "no-trigger",
            "The project has no trigger word, so there is no word to call the LoRA by.",
            'Write trigger = "…" under [project] in project.toml and put the word into every caption.',
        )
    elif settings.sample_prompts and not any(has_word(p, project.trigger) for p in settings.sample_prompts):
        yield Finding(
            "sample-without-trigger",
            f'No sample prompt contains the trigger word "{project.trigger}", so samples will not show what is learnt.',
            f'Begin one with "{project.trigger}, ".',
        )
