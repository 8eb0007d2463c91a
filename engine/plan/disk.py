"""How large the files of a training become, known before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from engine.plan.base_model import BaseModel
from engine.plan.dataset import Dataset
from engine.plan.errors import Finding
from engine.plan.files import mount_point
from engine.plan.optimizers import Sizes, state_elements
from engine.plan.project import Project
from engine.plan.saving_times import most_loras
from engine.plan.settings import Settings

WIDTHS = {"sdxl": (1_223_680, 1_436_160), "micro": (17_600, 22_080)}
"""Inputs and outputs of all layers that get a LoRA, summed: rank times these are the elements of all downs and ups."""

LAYERS = {"sdxl": 722, "micro": 124}
"""How many layers that are."""

FILE_BYTES = {"float": 4, "fp16": 2, "bf16": 2}
STATE_BYTES = 4  # everything in a checkpoint is fp32


@dataclass(frozen=True)
class DiskUse:
    """In bytes: one LoRA file, one checkpoint, and the most that the training takes at once (the cache not counted)."""

    lora: int
    checkpoint: int
    most: int


def disk_use(settings: Settings, dataset: Dataset, base: BaseModel) -> DiskUse:
    """What a training with these settings writes. A new checkpoint is whole before the oldest one goes."""
    downs, ups = (settings.network_dim * width for width in WIDTHS[base.size])
    lora = (downs + ups) * FILE_BYTES[settings.save_precision]
    # a down has the rank as its rows, an up as its columns
    rows_and_columns = sum(WIDTHS[base.size]) + 2 * settings.network_dim * LAYERS[base.size]
    sizes = Sizes(downs, ups, rows_and_columns)
    kept = state_elements(settings.optimizer_type, settings.optimizer_kwargs, sizes)
    checkpoint = (downs + ups + kept) * STATE_BYTES
    loras = most_loras(settings, dataset.steps.total)
    interval = settings.checkpoint_every_n_steps or dataset.steps.total
    written = -(-dataset.steps.total // interval)
    return DiskUse(lora, checkpoint, loras * lora + min(settings.keep_last_n_checkpoints + 1, written) * checkpoint)


def check_disk(settings: Settings, dataset: Dataset, base: BaseModel, project: Project) -> Iterator[Finding]:
    """A warning where the disk has too little room for what will be written."""
    use = disk_use(settings, dataset, base)
    disk = mount_point(project.path)
    try:
        free = shutil.disk_usage(project.path).free
    except OSError:
        return
    if free < use.most:
        yield Finding(
            "disk-space",
            f"The training writes up to {size(use.most)} (checkpoints of {size(use.checkpoint)}, LoRAs of "
            f"{size(use.lora)}), and the disk at {disk} has {size(free)} free.",
            "Free some space, or keep fewer checkpoints: keep_last_n_checkpoints = 1",
            option="keep_last_n_checkpoints",
            value=1,
        )


def size(count: float) -> str:
    """Bytes in the words of a file manager, in powers of 1000: 511 MB, 4.9 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            return f"{count:.0f} {unit}" if unit != "GB" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
