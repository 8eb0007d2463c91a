"""Stability's layout of an SDXL checkpoint, all parts in one safetensors file: its names, writing it, reading it.

Reading is diffusers' own converter, one part at a time and each part given only its own keys. That keeps one part in
memory instead of all, and it is needed: the converter tells the second text encoder from the first by its width, which
in the micro model is the same.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.plan.errors import UserError

PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text_encoder": "conditioner.embedders.0.transformer.text_model.",
    "text_encoder_2": "conditioner.embedders.1.model.",
}
POSITION_IDS = "position_ids"  # a count from 0 to 76 that old exporters wrote among the weights

_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = (
    ("text_model.embeddings.token_embedding.", "token_embedding."),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("text_model.final_layer_norm.", "ln_final."),
    (".layer_norm1.", ".ln_1."),
    (".layer_norm2.", ".ln_2."),
    (".self_attn.", ".attn."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
)


def unet_name(name: str, layers_per_block: int) -> str:
    """Stability's name of a U-Net module or weight: `down_blocks.1.attentions.0.proj_in` is `input_blocks.4.1.proj_in`.

    Their blocks are one flat list, ours are nested: each level has its layers and then its down- or upsampler.
    """
    for ours, theirs in _UNET_ENDS.items():
        if name == ours or name.startswith(f"{ours}."):
            return theirs + _renamed(name.removeprefix(ours), _UNET_RESNET if ".resnets." in ours else {})
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)(.*)", name)
    if found is None:
        raise KeyError(f"{name} is no part of an SDXL U-Net")
    side, level, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if side == "down":
        first = 1 + level * (layers_per_block + 1)
        if kind == "downsamplers":
            return f"input_blocks.{first + layers_per_block}.0.op{rest.removeprefix('.conv')}"
        block = f"input_blocks.{first + layer}"
    else:
        first = level * (layers_per_block + 1)
        if kind == "upsamplers":  # stands behind the attention; SDXL upsamples only at levels that have attention
            return f"output_blocks.{first + layers_per_block}.2{rest}"
        block = f"output_blocks.{first + layer}"
    return f"{block}.1{rest}" if kind == "attentions" else f"{block}.0{_renamed(rest, _UNET_RESNET)}"


def vae_name(name: str, levels: int) -> str:
    """Stability's name of a VAE weight; they count the decoder's levels from the finest."""

    def block(found: re.Match[str]) -> str:
        side, level, rest = found[1], int(found[2]), found[3]
        level = level if side == "down" else levels - 1 - level
        rest = re.sub(r"^resnets\.", "block.", rest).replace("conv_shortcut", "nin_shortcut")
        return f"{side}.{level}.{rest.replace(f'{side}samplers.0', f'{side}sample')}"

    name = re.sub(r"\b(down|up)_blocks\.(\d+)\.(.*)", block, name)
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    if "mid_block.attentions.0" in name:
        head, rest = name.split("mid_block.attentions.0")
        return f"{head}mid.attn_1{_renamed(rest, _VAE_ATTENTION)}"
    return name.replace("conv_norm_out", "norm_out")


def _renamed(rest: str, names: Mapping[str, str]) -> str:
    """`.conv1.weight` -> `.in_layers.2.weight`, by the names given."""
    for ours, theirs in names.items():
        if rest == f".{ours}" or rest.startswith(f".{ours}."):
            return f".{theirs}{rest[len(ours) + 1 :]}"
    return rest


def to_stability_layout(folder: Path) -> dict[str, Tensor]:
    """The weights of a diffusers SDXL folder of any size, in its own precision, under Stability's names and shapes."""
    layers = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))["layers_per_block"]
    levels = len(json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))["block_out_channels"])
    return layout_of_parts({part: folder_weights(folder / part) for part in PREFIXES}, layers, levels)


def layout_of_parts(parts: Mapping[str, Mapping[str, Tensor]], layers_per_block: int, levels: int) -> dict[str, Tensor]:
    """The same from the parts' weights; layers_per_block of the U-Net, levels of the VAE (SDXL: 2 and 4)."""
    tensors: dict[str, Tensor] = {}
    for name, weight in parts["unet"].items():
        tensors[PREFIXES["unet"] + unet_name(name, layers_per_block)] = weight
    for name, weight in parts["vae"].items():
        is_projection = ".attentions." in name and "group_norm" not in name and name.endswith(".weight")
        tensors[PREFIXES["vae"] + vae_name(name, levels)] = weight[:, :, None, None] if is_projection else weight
    for name, weight in parts["text_encoder"].items():
        tensors[PREFIXES["text_encoder"] + name.removeprefix("text_model.")] = weight
    for name, weight in _open_clip(parts["text_encoder_2"]).items():
        tensors[PREFIXES["text_encoder_2"] + name] = weight
    return {name: weight.contiguous() for name, weight in tensors.items()}


def folder_weights(part: Path) -> dict[str, Tensor]:
    """All tensors of one part of a diffusers folder: a single file or shards; the plain files before a variant's."""
    paths = sorted(part.glob("*.safetensors"))
    plain = [path for path in paths if path.name.count(".") == 1]
    return {
        name: weight
        for path in plain or paths
        for name, weight in load_file(path).items()
        if not name.endswith(POSITION_IDS)
    }


def _open_clip(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenCLIP keeps queries, keys and values in one matrix, and multiplies its text projection from the other side."""
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if re.search(r"\.[kv]_proj\.", name):
            continue  # comes with the queries
        if ".q_proj." in name:
            weight = torch.cat([weights[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"])
            name = name.replace(".q_proj.", ".in_proj_")
        for ours, theirs in _OPEN_CLIP:
            name = name.replace(ours, theirs)
        if name == "text_projection.weight":
            name, weight = "text_projection", weight.T
        tensors[name] = weight
    return tensors


def write_single_file(folder: Path, path: Path) -> None:
    """A diffusers SDXL folder of any size as one safetensors file; complete or absent, never half written."""
    tensors = to_stability_layout(folder)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        save_file(tensors, name, metadata={"format": "pt"})
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def file_weights(source: Path | Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """One part's tensors under their full names; the file stays mapped, nothing is copied."""
    if isinstance(source, Mapping):
        return {
            name: weight
            for name, weight in source.items()
            if name.startswith(PREFIXES[part]) and not name.endswith(POSITION_IDS)
        }
    with safe_open(source, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(PREFIXES[part])]  # noqa: SIM118 (not a dict)
        return {name: file.get_tensor(name) for name in names if not name.endswith(POSITION_IDS)}


def load_part(
    source: Path | Mapping[str, Tensor], path: Path, part: str, kind: type[Any], configs: Path, dtype: torch.dtype
) -> nn.Module:
    """One module of a single file: of the file `path` itself, or of the tensors that were read from it (`source`).

    `configs` is a folder that holds `config.json` in a folder for each part. What the file lacks stays on the meta
    device, or raises NotImplementedError when diffusers moves it from there.
    """
    weights = file_weights(source, part)
    if not weights:
        raise UserError("incomplete", f"The base model {path} has no {part}.", "Take a complete SDXL checkpoint.")
    if issubclass(kind, PreTrainedModel):
        return create_diffusers_clip_model_from_ldm(kind, weights, part, str(configs), dtype, local_files_only=True)
    return kind.from_single_file(weights, config=str(configs), subfolder=part, dtype=dtype, local_files_only=True)
