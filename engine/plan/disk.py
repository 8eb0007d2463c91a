"""How large the files of a training become, known before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.plan.base_model import BaseModel
from engine.plan.dataset import Dataset
from engine.plan.errors import Finding
from engine.plan.files import mount_point
from engine.plan.optimizers import Sizes, state_elements
from engine.plan.project import Project
from engine.plan.saving_times import most_loras
from engine.plan.settings import Settings
from engine.plan.trained_parts import rates


@dataclass(frozen=True)
class Layers:
    """Layers that get a LoRA: their inputs (times a convolution's kernel) and outputs, summed, and how many they are.

    The rank times these are the elements of all downs and ups.
    """

    inputs: int
    outputs: int
    count: int


LAYERS: Mapping[str, Mapping[str, Layers]] = {
    "sdxl": {
        "unet": Layers(1_223_680, 1_436_160, 722),
        "residual": Layers(36_160, 22_400, 28),
        "conv": Layers(325_440, 30_400, 38),
        "text_encoder_1": Layers(82_944, 82_944, 72),
        "text_encoder_2": Layers(368_640, 368_640, 192),
    },
    "micro": {
        "unet": Layers(17_600, 22_080, 124),
        "residual": Layers(2_400, 1_568, 19),
        "conv": Layers(22_464, 2_144, 26),
        "text_encoder_1": Layers(1_728, 1_728, 18),
        "text_encoder_2": Layers(1_728, 1_728, 18),
    },
}
"""By size of the base model and part of it. "residual" and "conv": of the U-Net, trained with conv_dim only."""

FILE_BYTES = {"float": 4, "fp16": 2, "bf16": 2}
STATE_BYTES = 4  # everything in a checkpoint is fp32


@dataclass(frozen=True)
class DiskUse:
    """In bytes: one LoRA file, one checkpoint, and the most that the training takes at once (the cache not counted)."""

    lora: int
    checkpoint: int
    most: int


def lora_sizes(settings: Settings, size: str) -> Sizes:
    """Elements of the LoRA that these settings train on a base model of `size`."""
    layers = LAYERS[size]
    trained = [(layers[part], settings.network_dim) for part in rates(settings)]
    if settings.train_unet and settings.conv_dim:
        trained += [(layers["residual"], settings.network_dim), (layers["conv"], settings.conv_dim)]
    return Sizes(
        downs=sum(rank * group.inputs for group, rank in trained),
        ups=sum(rank * group.outputs for group, rank in trained),
        # a down has the rank as its rows, an up as its columns
        rows_and_columns=sum(group.inputs + group.outputs + 2 * rank * group.count for group, rank in trained),
    )


def disk_use(settings: Settings, dataset: Dataset, base: BaseModel) -> DiskUse:
    """What a training with these settings writes. A new checkpoint is whole before the oldest one goes."""
    sizes = lora_sizes(settings, base.size)
    lora = sizes.whole * FILE_BYTES[settings.save_precision]
    kept = state_elements(settings.optimizer_type, settings.optimizer_kwargs, sizes)
    averaged = sizes.whole if settings.use_ema else 0
    checkpoint = (sizes.whole + averaged + kept) * STATE_BYTES
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
