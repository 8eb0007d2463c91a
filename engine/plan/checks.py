"""Judgements on a project before it is trained: what is likely to disappoint, why, and the setting that mends it.

Each check is a small function that yields findings; `dataset.scan` finds what is wrong with the files themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.plan.base_model import BaseModel, recognise
from engine.plan.caption_checks import check_captions
from engine.plan.dataset import Dataset
from engine.plan.dataset_checks import check_bucket_shapes, check_dataset
from engine.plan.disk import check_disk
from engine.plan.errors import Finding, UserError
from engine.plan.gpus import Gpu
from engine.plan.learning_checks import check_learning
from engine.plan.memory_note import check_memory_note
from engine.plan.model_checks import check_model_options
from engine.plan.native_size import NATIVE, beyond
from engine.plan.network_checks import check_network
from engine.plan.objective_checks import check_objective
from engine.plan.preservation_checks import check_preservation
from engine.plan.project import Project
from engine.plan.remedy import set_line
from engine.plan.sample_checks import check_samples
from engine.plan.saving_checks import check_saving
from engine.plan.schedule_checks import check_schedule
from engine.plan.settings import Settings
from engine.plan.trained_parts import check_parts
from engine.plan.vae import check_vae
from engine.plan.validation_checks import check_validation


def check_settings(
    settings: Settings, dataset: Dataset | None, project: Project, gpus: Sequence[Gpu] | None = None
) -> list[Finding]:
    """What is worth saying about these settings for this project; dataset: None where its pictures were not read.
    gpus: those that it would be trained on, none for the processor; None where nobody knows.

    A base model that is missing or wrong is an error among the findings, not an exception.
    """
    base: BaseModel | None = None
    findings: list[Finding] = []
    try:
        base = recognise(settings.pretrained_model_name_or_path, project.path)
    except UserError as error:
        findings.append(_refused_base(error))
    findings += check_learning(settings)
    findings += check_schedule(settings, dataset.steps.total if dataset is not None else None)
    findings += check_parts(settings)
    findings += check_vae(settings.vae, project.path)
    findings += check_network(settings, project.path)
    findings += check_model_options(settings)
    findings += check_memory_note(settings, project, gpus)
    findings += _noise_and_loss(settings)
    findings += check_objective(settings, base)
    findings += check_captions(settings)
    findings += check_preservation(settings, project.trigger, project.class_name)
    findings += check_validation(settings, dataset)
    findings += _sizes(settings, base)
    findings += _saving_and_samples(settings, project, dataset)
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
    if settings.enable_bucket and settings.min_bucket_reso > settings.max_bucket_reso:
        yield _limits_crossed(settings)
    elif settings.enable_bucket and not settings.bucket_no_upscale:
        yield from _bucket_limits(settings)
    if base is not None:
        yield from _resolution_for(settings, base)


def _limits_crossed(settings: Settings) -> Finding:
    """Told also where the limits do not count: whoever wrote them meant something else."""
    counts = not settings.bucket_no_upscale
    return Finding(
        "bucket-limits",
        f"min_bucket_reso {settings.min_bucket_reso} is above max_bucket_reso {settings.max_bucket_reso}"
        + ("." if counts else "; with bucket_no_upscale neither counts."),
        set_line("min_bucket_reso", str(min(256, settings.max_bucket_reso))),
        level="error" if counts else "warning",
        option="min_bucket_reso",
        value=min(256, settings.max_bucket_reso),
        overridable=False,
    )


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
    right = NATIVE[base.size]
    if beyond(base.size, settings.size):
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


def _saving_and_samples(settings: Settings, project: Project, dataset: Dataset | None) -> Iterator[Finding]:
    yield from check_saving(settings)
    if not project.trigger:
        yield Finding(
            "no-trigger",
            "The project has no trigger word, so there is no word to call the LoRA by.",
            'Write trigger = "…" under [project] in project.toml and put the word into every caption.',
        )
    own = (project.trigger,) if project.trigger else ()
    known = dataset.subjects(project.trigger, project.class_name).every_trigger if dataset is not None else own
    yield from check_samples(settings, project, known)
