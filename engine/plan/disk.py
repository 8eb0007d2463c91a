"""How large the files of a training become, known before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.plan.base_model import BaseModel
from engine.plan.byte_counts import size
from engine.plan.dataset import Dataset
from engine.plan.errors import Finding, plural
from engine.plan.files import mount_point
from engine.plan.optimizer_states import Sizes, state_elements
from engine.plan.project import Project
from engine.plan.saving_times import most_loras
from engine.plan.settings import Settings
from engine.plan.trained_parts import encodes_ahead, rates


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
CACHE_BYTES = 4  # and in the cache
LATENT_VALUES = 2 * 4 / 64  # a pixel: mean and log-variance of four channels, for squares of 8 pixels
TEXT_WIDTHS = {"sdxl": (2048, 1280), "micro": (128, 64)}  # of each token, and of the whole text


@dataclass(frozen=True)
class DiskUse:
    """In bytes: one LoRA file, one checkpoint, the cache when it is full. loras, checkpoints: how many there are at
    most at once."""

    lora: int
    checkpoint: int
    loras: int
    checkpoints: int
    cache: int

    @property
    def most(self) -> int:
        """The most that the training takes at once."""
        return self.loras * self.lora + self.checkpoints * self.checkpoint + self.cache

    def as_json(self) -> dict[str, int]:
        """As `check --json` and `estimate --json` print it."""
        return {
            "lora_bytes": self.lora,
            "loras": self.loras,
            "checkpoint_bytes": self.checkpoint,
            "checkpoints": self.checkpoints,
            "cache_bytes": self.cache,
            "most_bytes": self.most,
        }


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


def disk_use(settings: Settings, dataset: Dataset, base: BaseModel | None) -> DiskUse:
    """What a training with these settings writes; without a `base` on full-size SDXL. A new checkpoint is whole before
    the oldest one goes."""
    model = "sdxl" if base is None else base.size
    sizes = lora_sizes(settings, model)
    kept = state_elements(settings.optimizer_type, settings.optimizer_kwargs, sizes)
    averaged = sizes.whole if settings.use_ema else 0
    interval = settings.checkpoint_every_n_steps or dataset.steps.total
    written = -(-dataset.steps.total // interval)
    return DiskUse(
        lora=sizes.whole * FILE_BYTES[settings.save_precision],
        checkpoint=(sizes.whole + averaged + kept) * STATE_BYTES,
        loras=most_loras(settings, dataset.steps.total),
        checkpoints=min(settings.keep_last_n_checkpoints + 1, written),
        cache=_cache_bytes(settings, dataset, model),
    )


def _cache_bytes(settings: Settings, dataset: Dataset, model: str) -> int:
    """Of latents and text outputs where the cache is empty before; each entry's header, some 200 bytes, not counted."""
    values = 0.0
    if settings.cache_latents:
        a_pixel = LATENT_VALUES + (1 / 64 if settings.alpha_mask else 0)
        for pictures, times in ((dataset.used, 2 if settings.flip_aug else 1), (dataset.validation, 1)):
            values += times * a_pixel * sum(picture.bucket[0] * picture.bucket[1] for picture in pictures)
    if encodes_ahead(settings):
        words = {picture.words for picture in (*dataset.used, *dataset.validation)}
        preserved = 2 if settings.diff_output_preservation_multiplier else 1
        token, text = TEXT_WIDTHS[model]
        texts = preserved * len(words) + 1 + max(1, len(settings.sample_prompts))  # 1: the empty text
        values += texts * (token * (settings.max_token_length + 2) + text)
    return int(values * CACHE_BYTES)


def free_bytes(project: Project) -> int | None:
    """What the project's disk has free; None where nobody tells."""
    try:
        return shutil.disk_usage(project.path).free
    except OSError:
        return None


def check_disk(settings: Settings, dataset: Dataset, base: BaseModel, project: Project) -> Iterator[Finding]:
    """A warning where the disk has too little room for what will be written."""
    use, free = disk_use(settings, dataset, base), free_bytes(project)
    if free is not None and free < use.most:
        option, value, words = _saving(settings, dataset, base, use, free)
        yield Finding(
            "disk-space",
            f"The training writes up to {size(use.most)} ({_files(use.checkpoints, 'checkpoint', use.checkpoint)}, "
            f"{_files(use.loras, 'LoRA', use.lora)}, {size(use.cache)} of cache), and the disk at "
            f"{mount_point(project.path)} has {size(free)} free.",
            f"Free some space, {words}",
            option=option,
            value=value,
        )


def _files(count: int, what: str, each: int) -> str:
    return f"{plural(count, what)} of {size(each)}{' each' if count > 1 else ''}"


def _saving(
    settings: Settings, dataset: Dataset, base: BaseModel, use: DiskUse, free: int
) -> tuple[str, int | None, str]:
    """(option, value, what to do): what makes a training write less, as far as it does here. None: it is for you to
    say how much."""
    for option, what in (("keep_last_n_checkpoints", "checkpoints"), ("save_last_n_epochs", "LoRAs of epochs")):
        less = disk_use(settings.model_copy(update={option: 1}), dataset, base).most
        if less < use.most:
            return option, 1, f"{'or' if less <= free else 'and'} keep fewer {what}: {option} = 1"
    return "network_dim", None, "or train a smaller LoRA: a lower network_dim."
