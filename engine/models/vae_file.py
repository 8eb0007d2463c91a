"""A VAE from a file or folder of its own, in place of the base model's."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file

from engine.models.single_file import PREFIXES
from engine.plan.vae import VaeFile


def load_vae(vae: VaeFile, configs: Path) -> AutoencoderKL:
    """The VAE in fp32 on the CPU. `configs`: folder with SDXL's own `vae/config.json`, for files without one.

    Raises what the libraries raise for weights that do not fit.
    """
    if vae.kind == "folder":
        loaded: AutoencoderKL = AutoencoderKL.from_pretrained(
            vae.path, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        return loaded
    weights = load_file(vae.path)
    if vae.kind == "diffusers":
        config = json.loads((configs / "vae" / "config.json").read_text(encoding="utf-8"))
        module = AutoencoderKL.from_config(config)
        module.load_state_dict({name: weight.float() for name, weight in weights.items()})
        return module
    prefix = PREFIXES["vae"]
    known = {prefix + name.removeprefix(prefix): weight for name, weight in weights.items()}
    part: AutoencoderKL = AutoencoderKL.from_single_file(
        known, config=str(configs), subfolder="vae", dtype=torch.float32, local_files_only=True
    )
    return part
