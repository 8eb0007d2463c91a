"""A VAE of its own: from a file in either layout or a folder, and what is none is refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.models.checkpoint import load
from engine.models.single_file import PREFIXES, to_stability_layout
from engine.plan.base_model import recognise
from engine.plan.errors import UserError
from engine.plan.vae import recognise_vae


@pytest.fixture(scope="module")
def other(micro_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the model whose VAE has other weights."""
    folder = Path(shutil.copytree(micro_folder, tmp_path_factory.mktemp("other") / "model"))
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: weight * 1.1 for name, weight in load_file(path).items()}, path, metadata={"format": "pt"})
    return folder


def as_file(other: Path, path: Path, layout: str) -> Path:
    prefix = PREFIXES["vae"]
    if layout == "diffusers":
        weights = load_file(other / "vae" / "diffusion_pytorch_model.safetensors")
    else:
        weights = {name: weight for name, weight in to_stability_layout(other).items() if name.startswith(prefix)}
        if layout == "bare":
            weights = {name.removeprefix(prefix): weight for name, weight in weights.items()}
    save_file(weights, path)
    return path


@pytest.mark.parametrize("layout", ["stability", "bare", "diffusers", "folder"])
def test_the_vae_is_replaced_and_nothing_else(micro_folder: Path, other: Path, tmp_path: Path, layout: str) -> None:
    path = other if layout == "folder" else as_file(other, tmp_path / "vae.safetensors", layout)
    base = recognise(micro_folder)
    own, given = load(base), load(base, vae=recognise_vae(str(path)))
    wanted = load(recognise(other))
    for name, weight in wanted.vae.state_dict().items():
        assert torch.equal(weight, given.vae.state_dict()[name]), name
    assert given.vae_identity == wanted.vae_identity != own.vae_identity
    assert given.text_identity == own.text_identity
    assert not any(weight.requires_grad for weight in given.vae.parameters())


def test_what_is_no_vae_is_refused_by_name(micro_folder: Path, other: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    save_file(to_stability_layout(other), whole)
    wide = as_file(other, tmp_path / "wide.safetensors", "bare")
    weights = load_file(wide)
    save_file({**weights, "decoder.conv_in.weight": torch.zeros(8, 16, 3, 3)}, wide)
    lora = tmp_path / "lora.safetensors"
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(1, 1)}, lora)
    for path, said in (
        (whole, "is a whole model, not a VAE"),
        (wide, "has 16 latent channels"),
        (lora, "is not a VAE"),
        (tmp_path, "has no config.json"),
        (tmp_path / "none", "does not exist"),
    ):
        with pytest.raises(UserError, match=said):
            recognise_vae(str(path))


@pytest.mark.parametrize("layout", ["stability", "diffusers"])
def test_a_vae_of_another_size_is_told_by_the_tensor_that_does_not_fit(
    micro_folder: Path, other: Path, tmp_path: Path, layout: str
) -> None:
    path = as_file(other, tmp_path / "vae.safetensors", layout)
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("encoder.conv_in.weight"))
    save_file(weights | {name: torch.zeros(128, 3, 3, 3)}, path)
    with pytest.raises(UserError) as refused:
        load(recognise(micro_folder), vae=recognise_vae(str(path)))
    said = str(refused.value)
    assert "encoder.conv_in.weight" in said
    assert "128, 3, 3, 3" in said
    assert said.endswith(".")
    assert "  " not in said


def test_a_weight_that_is_missing_is_named(micro_file: Path, tmp_path: Path) -> None:
    weights, path = load_file(micro_file), tmp_path / "model.safetensors"
    del weights["model.diffusion_model.label_emb.0.0.weight"]
    save_file(weights, path)
    with pytest.raises(UserError, match=r"label_emb\.0\.0\.weight.*\. ") as refused:
        load(recognise(path))
    assert "'" not in str(refused.value)
