"""LoRA files as diffusers saves them (`unet.….lora_A.weight`), and the job that makes one of a file of any program.

diffusers ignores alpha beside such names, and only its newer versions read it from the header, so it is multiplied into
the ups: at rank 96 and alpha 48 they are halved, and every reader draws at the strength that was trained.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.context import JobContext
from engine.lora import weights
from engine.lora.spellings import respelt
from engine.lora.targets import Target, every_target
from engine.lora.weights import LoraFile, shape_of
from engine.models.checkpoint import configs_of
from engine.plan.errors import UserError, few
from engine.plan.files import atomic_write
from engine.plan.trained_parts import Part

OWNERS: dict[Part, str] = {"unet": "unet", "text_encoder_1": "text_encoder", "text_encoder_2": "text_encoder_2"}
"""What diffusers calls the parts of its pipeline, and the folders of their configurations."""

_OF_ANOTHER_FILE = ("sshs_", "modelspec.hash_sha256", "lora_adapter_metadata")


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `lora`, the path of the file. The result names the new one in the run's output/."""
    context.announce("CPU")
    given = Path(context.job.arguments["lora"])
    with context.phase("reading the LoRA"):
        file = weights.read(given)
    with context.phase("converting the LoRA"):
        path = context.run.output_dir / f"{given.stem}.safetensors"
        made = in_diffusers_format(file)
        # The same bytes each time, so that who exports it twice has it once.
        atomic_write(path, weights.in_order(weights.with_hashes(dict(made.tensors), made.metadata)))
    return {"lora": str(path), "message": f"{given.name} in diffusers' format.", "complete": True}


def in_diffusers_format(file: LoraFile) -> LoraFile:
    """`file`, of any program, under the names of diffusers and with its alphas in its ups; dtypes stay.

    Raises UserError `other-kind` for what is no plain LoRA, `not-a-lora`, `lora-does-not-fit` for one of no SDXL model.
    """
    plain, targets = _with_names(file)
    strength = shape_of(plain)
    tensors: dict[str, Tensor] = {}
    ranks: dict[Part, dict[str, int]] = {part: {} for part in OWNERS}
    for target in targets:
        down, up = (plain.tensors[f"{target.stem}.lora_{side}.weight"] for side in ("down", "up"))
        rank, alpha = strength(target) or (int(down.shape[0]), float(down.shape[0]))
        text = "" if target.part == "unet" else "text_model."
        name = f"{OWNERS[target.part]}.{text}{_bare(target)}"
        tensors[f"{name}.lora_A.weight"] = down.contiguous()
        tensors[f"{name}.lora_B.weight"] = (up.float() * (alpha / rank)).to(up.dtype).contiguous()
        ranks[target.part][_bare(target)] = rank
    kept = {key: value for key, value in file.metadata.items() if not key.startswith(_OF_ANOTHER_FILE)}
    return LoraFile(tensors, {**kept, "format": "pt", "lora_adapter_metadata": json.dumps(_adapters(ranks))})


def _bare(target: Target) -> str:
    """The layer's name as every version of transformers has it in the end; the older have `text_model.` before it."""
    return target.name.removeprefix("text_model.")


def _adapters(ranks: Mapping[Part, Mapping[str, int]]) -> dict[str, object]:
    """PEFT's configuration for each part, as `save_lora_weights` writes it. All layers count fully: alpha is rank."""
    about: dict[str, object] = {}
    for part, layers in ranks.items():
        if layers:
            usual = Counter(layers.values()).most_common(1)[0][0]
            others = {name: rank for name, rank in layers.items() if rank != usual}
            config = {"r": usual, "lora_alpha": usual, "rank_pattern": others, "alpha_pattern": others}
            config |= {"target_modules": sorted(layers), "bias": "none"}
            about |= {f"{OWNERS[part]}.{key}": value for key, value in config.items()}
    return about


def _with_names(file: LoraFile) -> tuple[LoraFile, list[Target]]:
    """The file under sd-scripts' names, and the layers that it is for: of SDXL, or else of the practice model."""
    missing: Sequence[str] = ()
    for size in ("sdxl", "micro"):
        targets = {target.stem: target for target in every_target(_models(size))}
        plain = respelt(file, targets.values())
        weights.rank_of(plain)
        if not (unknown := sorted(name for name in plain.tensors if name.split(".", 1)[0] not in targets)):
            _require_pairs(plain)
            return plain, [targets[stem] for stem in plain.stems]
        missing = missing or unknown
    raise UserError(
        "lora-does-not-fit",
        f"This LoRA changes what SDXL does not have: {few(missing)}.",
        "Only a LoRA for SDXL can be written in diffusers' format here.",
    )


def _require_pairs(plain: LoraFile) -> None:
    """Raises UserError `not-a-lora` for a layer of which a half is missing."""
    for stem in plain.stems:
        down, up = (plain.tensors.get(f"{stem}.lora_{side}.weight") for side in ("down", "up"))
        if down is None or up is None or min(down.ndim, up.ndim) < 2 or up.shape[1] != down.shape[0]:
            raise UserError("not-a-lora", f"The halves of {stem} do not belong together.", "Copy the file again.")


def _models(size: str) -> dict[Part, nn.Module]:
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
