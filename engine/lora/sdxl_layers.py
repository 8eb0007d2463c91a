"""The layers of SDXL, and of the practice model, without a base model at hand: what a LoRA file's names are for."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.lora import weights
from engine.lora.spellings import OWNERS, respelt
from engine.lora.targets import PREFIXES, Target, every_target, unet_stem
from engine.lora.weights import LoraFile
from engine.models.checkpoint import configs_of
from engine.plan.base_model import Size
from engine.plan.errors import UserError, few
from engine.plan.trained_parts import Part

SIZES: tuple[Size, ...] = ("sdxl", "micro")


def under_stems(file: LoraFile) -> tuple[LoraFile, list[Target]]:
    """The file under sd-scripts' names, and the layers that it is for: of SDXL, or else of the practice model.

    Raises UserError `other-kind` for what is no plain LoRA, `not-a-lora`, `lora-does-not-fit` for one of no SDXL model.
    """
    candidates, missing = [], list[str]()
    for size in SIZES:
        targets = {target.stem: target for target in every_target(empty_models(size))}
        plain = respelt(file, targets.values())
        weights.rank_of(plain)
        if not (unknown := sorted(name for name in plain.tensors if name.split(".", 1)[0] not in targets)):
            _require_pairs(plain)
            candidates.append((size, plain, [targets[stem] for stem in plain.stems]))
        missing = missing or unknown
    # In diffusers' names the practice model's layers are all ones that SDXL has, too, but of other sizes.
    for size, plain, used in candidates:
        if all(size_of(plain, stem) == layer_sizes(size)[stem] for stem in plain.stems):
            return plain, used
    if candidates:
        return candidates[0][1:]
    raise UserError(
        "lora-does-not-fit",
        f"This LoRA changes what SDXL does not have: {few(missing)}.",
        "Only a LoRA for SDXL can be converted here.",
    )


def size_of(plain: LoraFile, stem: str) -> tuple[int, int]:
    """Inputs (of all places of a kernel) and outputs of one layer whose halves fit together."""
    down, up = (plain.tensors[f"{stem}.lora_{side}.weight"] for side in ("down", "up"))
    return down[0].numel(), int(up.shape[0])


@cache
def layer_sizes(size: Size) -> dict[str, tuple[int, int]]:
    """Inputs (of all places of a kernel) and outputs of every Linear and convolution, by its stem in a LoRA file."""
    sizes: dict[str, tuple[int, int]] = {}
    models = empty_models(size)
    stems = {(target.part, target.name): target.stem for target in every_target(models)}
    for part, model in models.items():
        for name, layer in model.named_modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            if part == "unet":
                stem = unet_stem(name, cast(UNet2DConditionModel, model).config["layers_per_block"])
            else:
                stem = stems.get((part, name), PREFIXES[part] + name.replace(".", "_"))
            sizes[stem] = (layer.weight[0].numel(), layer.weight.shape[0])
    return sizes


def _require_pairs(plain: LoraFile) -> None:
    """Raises UserError `not-a-lora` for a layer of which a half is missing."""
    for stem in plain.stems:
        down, up = (plain.tensors.get(f"{stem}.lora_{side}.weight") for side in ("down", "up"))
        if down is None or up is None or min(down.ndim, up.ndim) < 2 or up.shape[1] != down.shape[0]:
            raise UserError("not-a-lora", f"The halves of {stem} do not belong together.", "Copy the file again.")


@cache
def empty_models(size: Size) -> dict[Part, nn.Module]:
    """The parts without their weights, for the names of their layers."""

    def config(part: Part) -> dict[str, Any]:
        found = json.loads((configs_of(size) / OWNERS[part] / "config.json").read_text(encoding="utf-8"))
        return cast(dict[str, Any], found)

    with torch.device("meta"):
        return {
            "unet": cast(nn.Module, UNet2DConditionModel.from_config(config("unet"))),
            "text_encoder_1": CLIPTextModel(CLIPTextConfig(**config("text_encoder_1"))),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**config("text_encoder_2"))),
        }
