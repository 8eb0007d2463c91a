"""An estimate of a project's training, with what this machine knows: its GPUs, earlier runs, the GPU planned for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.plan.gpus import Gpu
from lora_tui.hardware import gpus_here, planned

if TYPE_CHECKING:
    from engine.plan.base_model import BaseModel
    from engine.plan.dataset import Dataset
    from engine.plan.estimate import Estimate
    from engine.plan.memory_fixes import Predict
    from engine.plan.pace import Pace
    from engine.plan.project import Project
    from engine.plan.settings import Settings


def estimate_of(
    project: Project, settings: Settings, dataset: Dataset | None, base: BaseModel | None, gpu: Gpu | None = None
) -> Estimate | None:
    """None for the practice model, which needs no GPU. gpu: to be held against; else the one planned for, or this
    machine's that has least room."""
    from engine.plan.disk import free_bytes
    from engine.plan.estimate import estimate
    from engine.plan.hardware_checks import check_gpu, mended

    if base is not None and base.size != "sdxl":
        return None
    against = gpu if gpu is not None else gpu_meant(settings)
    runnable = mended(settings, check_gpu(settings, against)) if against is not None else settings
    pace = pace_of(project, runnable, base, against, dataset)
    found = estimate(settings, dataset, against, pace, _correction, free_bytes(project))
    return found if against is not None else replace(found, no_gpu=_why_none())


def predictor_of(settings: Settings, dataset: Dataset | None) -> Predict:
    """The bytes at the peak for other settings of this training, on the GPU that is meant."""
    from engine.plan.prediction import predictor

    gpu = gpu_meant(settings)
    return predictor(settings, dataset, _correction(gpu) if gpu is not None else 1.0)


def gpu_meant(settings: Settings) -> Gpu | None:
    """The GPU that is planned for; else this machine's that has the least room of those that train."""
    from engine.plan.hardware_checks import smallest

    card = planned()
    return card.as_gpu() if card is not None else smallest(gpus_here().gpus, settings.num_processes)


def _why_none() -> str:
    """What keeps this machine's GPU from being found or asked, and what to do about it; "" where there is none."""
    here = gpus_here()
    return f"{here.problem} {here.advice}".strip()


def pace_of(
    project: Project,
    settings: Settings,
    base: BaseModel | None,
    gpu: Gpu | None,
    dataset: Dataset | None = None,
) -> Pace | None:
    """Seconds a step: as measured on this machine where the GPU is here, else roughly from its data sheet."""
    from engine.plan.pace import rough
    from engine.plan.real_batches import epoch_of
    from lora_tui.expected_time import expected_pace

    if gpu is None:
        return None
    measured = expected_pace(project.path, settings, base, dataset) if gpu.here else None
    return measured or rough(settings, gpu, epoch_of(settings, dataset))


def _correction(gpu: Gpu) -> float:
    from engine.runs.memory_seen import correction

    return correction(gpu.name) if gpu.here else 1.0
