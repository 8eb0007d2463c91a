"""One safetensors file in Stability's layout: written, and read back through diffusers to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from engine.models.checkpoint import load_folder, load_single_file
from engine.models.single_file import PREFIXES, write_single_file
from engine.plan.errors import UserError
from tests.micro_model import base_of

MODULES = ("unet", "vae", "text_encoder", "text_encoder_2")


def assert_equal(left: nn.Module, right: nn.Module) -> None:
    ours, theirs = left.state_dict(), right.state_dict()
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert weight.dtype == theirs[name].dtype, name
        assert torch.equal(weight, theirs[name]), name


@pytest.fixture(scope="module")
def tensors(micro_file: Path) -> dict[str, torch.Tensor]:
    return load_file(micro_file)


def load(path: Path, configs: Path, dtype: torch.dtype = torch.float32):
    return load_single_file(path, configs, base_of(path), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_single_file_equals_its_folder_bit_for_bit(micro_folder: Path, micro_file: Path, dtype: torch.dtype):
    folder, single = (
        load_folder(micro_folder, base_of(micro_folder), dtype=dtype),
        load(micro_file, micro_folder, dtype),
    )
    for part in MODULES:
        assert_equal(getattr(folder, part), getattr(single, part))
    assert (folder.vae_identity, folder.text_identity) == (single.vae_identity, single.text_identity)
    assert folder.scheduler_config == single.scheduler_config


def test_second_encoder_is_not_read_from_the_first(micro_folder: Path, micro_file: Path):
    """diffusers tells them apart by their width, and the micro model's encoders are equally wide."""
    model = load(micro_file, micro_folder)
    first = model.text_encoder.get_input_embeddings().weight
    assert not torch.equal(first, model.text_encoder_2.get_input_embeddings().weight)


def test_layout_is_stabilitys(tensors: dict[str, torch.Tensor]):
    assert tensors["model.diffusion_model.input_blocks.0.0.weight"].shape == (32, 4, 3, 3)
    assert tensors["first_stage_model.encoder.mid.attn_1.q.weight"].shape == (64, 64, 1, 1)
    assert "first_stage_model.decoder.up.3.upsample.conv.weight" in tensors
    assert "conditioner.embedders.0.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight" in tensors
    assert tensors["conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight"].shape == (3 * 64, 64)
    assert tensors["conditioner.embedders.1.model.positional_embedding"].shape == (77, 64)
    assert all(name.startswith(tuple(PREFIXES.values())) for name in tensors)


def test_text_projection_is_transposed(micro_folder: Path, tensors: dict[str, torch.Tensor]):
    model = load_folder(micro_folder, base_of(micro_folder), dtype=torch.float16)
    stored = tensors["conditioner.embedders.1.model.text_projection"]
    assert torch.equal(stored, model.text_encoder_2.text_projection.weight.T)


def test_what_old_exporters_wrote_along_is_passed_over(
    micro_folder: Path, tensors: dict[str, torch.Tensor], tmp_path: Path
):
    extra = {
        "conditioner.embedders.0.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "conditioner.embedders.1.model.logit_scale": torch.tensor(4.6),
        "denoiser.sigmas": torch.ones(1000),
        "model_ema.decay": torch.tensor(0.9999),
    }
    save_file(tensors | extra, tmp_path / "old.safetensors")
    reference = load_folder(micro_folder, base_of(micro_folder))
    old = load(tmp_path / "old.safetensors", micro_folder)
    for part in MODULES:
        assert_equal(getattr(reference, part), getattr(old, part))


@pytest.mark.parametrize(
    ("lost", "part"),
    [
        ("model.diffusion_model.middle_block.1.proj_in.bias", "unet"),
        ("first_stage_model.quant_conv.weight", "vae"),
        ("conditioner.embedders.0.transformer.text_model.final_layer_norm.bias", "text_encoder"),
        ("conditioner.embedders.1.model.text_projection", "text_encoder_2"),
    ],
)
def test_a_file_that_lacks_a_weight_is_refused(
    micro_folder: Path, tensors: dict[str, torch.Tensor], tmp_path: Path, lost: str, part: str
):
    path = tmp_path / "holes.safetensors"
    save_file({name: weight for name, weight in tensors.items() if name != lost}, path)
    with pytest.raises(UserError, match=rf"holes\.safetensors lacks weights of its {part}[:.]") as error:
        load(path, micro_folder)
    assert error.value.code == "incomplete"


@pytest.mark.parametrize("part", MODULES)
def test_a_file_without_a_whole_part_is_refused_in_one_sentence(
    micro_folder: Path, tensors: dict[str, torch.Tensor], tmp_path: Path, part: str
):
    path = tmp_path / "half.safetensors"
    save_file({name: weight for name, weight in tensors.items() if not name.startswith(PREFIXES[part])}, path)
    with pytest.raises(UserError) as error:
        load(path, micro_folder)
    assert "half.safetensors" in error.value.message
    assert part in error.value.message


def test_a_truncated_file_is_refused_in_one_sentence(micro_folder: Path, micro_file: Path, tmp_path: Path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(micro_file.read_bytes()[:-1000])
    with pytest.raises(UserError) as error:
        load(path, micro_folder)
    assert error.value.code == "damaged"


def test_a_failed_write_leaves_nothing_behind(micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full_disk(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.models.single_file.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_single_file(micro_folder, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
