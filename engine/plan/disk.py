"""How large the files of a training become, known before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from engine.plan.base_model import BaseModel
from engine.plan.dataset import Dataset
from engine.plan.errors import Finding
from engine.plan.files import mount_point
from engine.plan.project import Project
from engine.plan.settings import Settings

WIDTHS = {"sdxl": (1_223_680, 1_436_160), "micro": (17_600, 22_080)}
"""Inputs and outputs of all layers that get a LoRA, summed: rank times these are the elements of all downs and ups."""

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
    checkpoint = (downs + ups + _optimizer_elements(settings, downs, ups)) * STATE_BYTES
    epochs, every = settings.max_train_epochs, settings.save_every_n_epochs
    loras = 1 + ((epochs - 1) // every if every else 0)
    interval = settings.checkpoint_every_n_steps or dataset.steps.total
    written = -(-dataset.steps.total // interval)
    return DiskUse(lora, checkpoint, loras * lora + min(settings.keep_last_n_checkpoints + 1, written) * checkpoint)


def _optimizer_elements(settings: Settings, downs: int, ups: int) -> int:
    if settings.optimizer_type == "AdamW":
        return 2 * (downs + ups)
    # Prodigy: two averages, and for its d the sum of gradients and the start, of which only each slice_p-th is kept;
    # the start of the ups is zero and takes nothing.
    sliced = settings.optimizer_kwargs.get("slice_p", 1)
    part = sliced if isinstance(sliced, int) and sliced > 0 else 1
    return 2 * (downs + ups) + (downs + ups) // part + downs // part


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
