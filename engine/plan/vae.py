"""Which VAE a path leads to, told from its header: a file in Stability's or in diffusers' layout, or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan.errors import Finding, UserError
from engine.plan.files import existing_path
from engine.plan.safetensors_header import read_header

_PREFIX = "first_stage_model."
_STABILITY, _DIFFUSERS = "encoder.down.0.block.0.conv1.weight", "encoder.down_blocks.0.resnets.0.conv1.weight"
_LATENT_CHANNELS = 4
_CONVOLUTION_SIDES = 4


@dataclass(frozen=True)
class VaeFile:
    """`path`: absolute. kind: how its weights are named, or that it is a diffusers folder."""

    path: Path
    kind: Literal["stability", "diffusers", "folder"]


def recognise_vae(text: str, folder: Path | None = None) -> VaeFile:
    """What the option `vae` means; a relative path is looked for in `folder` first.

    Raises UserError `not-found`, `not-a-vae` and what `read_header` raises.
    """
    path = existing_path(text, folder)
    if path is None:
        raise UserError("not-found", f"The VAE {text} does not exist.", "Check the spelling of the path.")
    if path.is_dir():
        inner = path / "vae" if (path / "vae" / "config.json").is_file() else path
        if (inner / "config.json").is_file() and any(inner.glob("*.safetensors")):
            return VaeFile(inner, "folder")
        raise UserError(
            "not-a-vae",
            f"The folder {path} has no config.json and .safetensors of a VAE.",
            "Give a diffusers folder or a .safetensors file.",
        )
    names = {name.removeprefix(_PREFIX): tensor for name, tensor in read_header(path)[0].items()}
    if any(name.startswith("model.diffusion_model.") for name in names):
        raise UserError(
            "not-a-vae", f"{path} is a whole model, not a VAE.", "Leave vae empty to use the base model's own."
        )
    if "decoder.conv_in.weight" not in names or not {_STABILITY, _DIFFUSERS} & names.keys():
        raise UserError("not-a-vae", f"{path} is not a VAE.", "Give the VAE of an SDXL model, or leave vae empty.")
    shape = names["decoder.conv_in.weight"].shape
    channels = shape[1] if len(shape) == _CONVOLUTION_SIDES else 0
    if channels != _LATENT_CHANNELS:
        raise UserError(
            "not-a-vae",
            f"{path} is the VAE of another kind of model: it has {channels} latent channels, SDXL's has 4.",
            "Give the VAE of an SDXL model, or leave vae empty.",
        )
    return VaeFile(path, "stability" if _STABILITY in names else "diffusers")


def check_vae(text: str, folder: Path) -> Iterator[Finding]:
    """An error where the option `vae` leads to none."""
    if text:
        try:
            recognise_vae(text, folder)
        except UserError as error:
            yield Finding(
                error.code, error.message, error.hint, level="error", option="vae", value="", overridable=False
            )
