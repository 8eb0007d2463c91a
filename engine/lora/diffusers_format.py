"""LoRA files as diffusers saves them (`unet.….lora_A.weight`).

diffusers ignores alpha beside such names, and only its newer versions read it from the header, so it is multiplied into
the ups: at rank 96 and alpha 48 they are halved, and every reader draws at the strength that was trained.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from torch import Tensor

from engine.lora.sdxl_layers import under_stems
from engine.lora.spellings import OWNERS
from engine.lora.targets import Target
from engine.lora.weights import LoraFile, kept_metadata, shape_of
from engine.plan.trained_parts import Part


def in_diffusers_format(file: LoraFile) -> LoraFile:
    """`file`, of any program, under the names of diffusers and with its alphas in its ups; dtypes stay.

    Raises UserError `other-kind` for what is no plain LoRA, `not-a-lora`, `lora-does-not-fit` for one of no SDXL model.
    """
    plain, targets = under_stems(file)
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
    return LoraFile(
        tensors, {**kept_metadata(file), "format": "pt", "lora_adapter_metadata": json.dumps(_adapters(ranks))}
    )


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
