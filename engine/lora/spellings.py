"""LoRA files of other programs under our names: how PEFT, diffusers and older tools spell the same layers.

The layers of a model have one stem each (`targets`); here are the other ways to write it, so that a file of any of them
can be gone on from, looked at and compared. What is no plain LoRA (LoHa, LoKr, DoRA …) is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from engine.lora.targets import PREFIXES, Target
from engine.lora.weights import LoraFile
from engine.plan.errors import UserError
from engine.plan.trained_parts import PARTS, Part

OWNERS: dict[Part, str] = {"unet": "unet", "text_encoder_1": "text_encoder", "text_encoder_2": "text_encoder_2"}
"""What diffusers calls the parts of its pipeline, and the folders of their configurations."""
_OTHER_OWNERS: dict[Part, tuple[str, ...]] = {
    "unet": ("base_model.model.unet.", "base_model.model.", ""),
    "text_encoder_1": ("text_encoder_1.",),
    "text_encoder_2": (),
}
_BEGINNINGS: dict[Part, tuple[str, ...]] = {part: (f"{OWNERS[part]}.", *_OTHER_OWNERS[part]) for part in PARTS}
_SIDES = (
    (".lora_A.weight", ".lora_B.weight"),
    (".lora_A.default.weight", ".lora_B.default.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
)
_OLDEST = re.compile(r"(.+)\.to_([qkv]|out)_lora(\..+)")
"""diffusers of before PEFT kept a LoRA in attention processors: `….attn1.processor.to_out_lora.down.weight`."""
_GREATEST_ALPHA = 1e30  # what is larger, or no number, is damage
_OTHER_KINDS = {
    ".hada_": "LoHa",
    ".lokr_": "LoKr",
    ".oft_": "OFT",
    ".dora_scale": "DoRA",
    ".lora_magnitude_vector": "DoRA",  # PEFT's
    ".lora_mid": "a CP-LoCon",
}


def kind_of(names: Iterable[str]) -> str:
    """What a file's tensors are besides a plain LoRA: `LoHa`, `LoKr` …; "" for a plain one."""
    parts = list(names)
    return next((kind for mark, kind in _OTHER_KINDS.items() if any(mark in name for name in parts)), "")


def respelt(file: LoraFile, targets: Iterable[Target]) -> LoraFile:
    """`file` with the layers of `targets` under sd-scripts' names, whoever wrote it; other layers stay as they are.

    A layer without an alpha of its own gets the file's (PEFT keeps it in the header), or counts fully.
    Raises UserError `other-kind` for what is no plain LoRA.
    """
    if kind := kind_of(file.tensors):
        raise UserError(
            "other-kind",
            f"This file holds {kind}, not a plain LoRA.",
            "Only LoRA and LoCon files can be used here; lora-tui inspect says what is in it.",
        )
    tensors, used = _of_today(file.tensors), dict[str, Tensor]()
    alphas = _Alphas(file.metadata)
    for target in targets:
        for down, up, alpha in _spellings(target):
            if down in tensors and up in tensors:
                rank = tensors[down].shape[0] if tensors[down].ndim else 1
                used[f"{target.stem}.lora_down.weight"] = tensors.pop(down)
                used[f"{target.stem}.lora_up.weight"] = tensors.pop(up)
                own = tensors.pop(alpha, None)
                whole = alphas.of(target.part, target.name)
                if own is not None or whole is not None or not down.startswith(target.stem):
                    used[f"{target.stem}.alpha"] = (
                        own if own is not None else torch.tensor(float(whole if whole is not None else rank))
                    )
                break
    return LoraFile({**used, **tensors}, file.metadata)


def plainly(file: LoraFile) -> LoraFile:
    """The layers of a file of PEFT or diffusers in sd-scripts' form, without knowing the models: dots become
    underscores, so these are not the names that programs look for. What has that form already stays as it is.
    """
    tensors, alphas = _of_today(file.tensors), _Alphas(file.metadata)
    for name in list(tensors):
        for down, up in _SIDES:
            if not name.endswith(down) or f"{name.removesuffix(down)}{up}" not in tensors:
                continue
            layer = name.removesuffix(down)
            part, rest = _part_of(layer)
            stem = PREFIXES[part] + rest.replace(".", "_")
            tensors[f"{stem}.lora_down.weight"] = tensors.pop(name)
            tensors[f"{stem}.lora_up.weight"] = tensors.pop(f"{layer}{up}")
            alpha = tensors.pop(f"{layer}.alpha", None)
            if alpha is None and (whole := alphas.of(part, rest)) is not None:
                alpha = torch.tensor(whole)
            if alpha is not None:
                tensors[f"{stem}.alpha"] = alpha
    return LoraFile(tensors, file.metadata)


def _of_today(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the oldest names of diffusers brought up to date: `….attn1.to_out.0.lora.down.weight`."""
    made: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        now = name
        if found := _OLDEST.fullmatch(name):
            place, side, rest = found[1].removesuffix(".processor"), found[2], found[3]
            if place.endswith(".self_attn"):  # of a text encoder
                layer = "out_proj" if side == "out" else f"{side}_proj"
            else:
                layer = "to_out.0" if side == "out" else f"to_{side}"
            rest = rest if rest == ".alpha" else f".lora{rest}"
            now = f"{place}.{layer}{rest}"
        made[name if now in tensors or now in made else now] = tensor
    return made


def _part_of(layer: str) -> tuple[Part, str]:
    """The model that a layer of PEFT's or diffusers' name belongs to, and its name there."""
    for part in reversed(PARTS):  # the shorter names are beginnings of longer ones
        for owner in _BEGINNINGS[part]:
            if owner and layer.startswith(owner):
                return part, layer.removeprefix(owner)
    return "unet", layer


def _spellings(target: Target) -> Iterator[tuple[str, str, str]]:
    """Names of a layer's down, up and alpha, sd-scripts' first."""
    underscored = PREFIXES[target.part] + target.name.replace(".", "_")
    for stem in dict.fromkeys((target.stem, underscored)):
        yield f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"
    names = [target.name]
    if target.part != "unet":
        names.append(target.name if target.name.startswith("text_model.") else f"text_model.{target.name}")
    for owner in _BEGINNINGS[target.part]:
        for name in names:
            for down, up in _SIDES:
                yield f"{owner}{name}{down}", f"{owner}{name}{up}", f"{owner}{name}.alpha"


class _Alphas:
    """Alpha by layer, as diffusers writes PEFT's configuration into the header (`lora_adapter_metadata`)."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        try:
            said = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        except (ValueError, RecursionError):
            said = {}
        self._said: dict[str, object] = said if isinstance(said, dict) else {}

    def of(self, part: Part, layer: str) -> float | None:
        """Of one layer of a part; None where the header says nothing."""
        owner = _BEGINNINGS[part][0]
        usual, others = self._said.get(f"{owner}lora_alpha"), self._said.get(f"{owner}alpha_pattern")
        short = layer.removeprefix("text_model.")
        if isinstance(others, dict):
            usual = next((others[key] for key in (short, f"^{short}", layer, f"^{layer}") if key in others), usual)
        if not isinstance(usual, int | float) or isinstance(usual, bool) or not abs(usual) < _GREATEST_ALPHA:
            return None
        return float(usual)
