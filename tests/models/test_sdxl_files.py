"""The shipped configs describe the published SDXL, counted on modules without memory."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.models.checkpoint import configs_of
from engine.models.single_file import PREFIXES, unet_name, vae_name

CONFIGS = configs_of("sdxl")


def diffusers_module(kind: type, part: str) -> torch.nn.Module:
    with torch.device("meta"):
        return kind.from_config(json.loads((CONFIGS / part / "config.json").read_text(encoding="utf-8")))


def encoder(kind: type, part: str) -> torch.nn.Module:
    with torch.device("meta"):
        return kind(CLIPTextConfig.from_pretrained(CONFIGS / part, local_files_only=True))


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    return diffusers_module(UNet2DConditionModel, "unet")


def parameters(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_modules_have_sdxls_parameter_counts(unet: UNet2DConditionModel):
    assert parameters(unet) == 2_567_463_684
    assert parameters(encoder(CLIPTextModel, "text_encoder")) == 123_060_480
    assert parameters(encoder(CLIPTextModelWithProjection, "text_encoder_2")) == 694_659_840
    assert parameters(diffusers_module(AutoencoderKL, "vae")) == 83_653_863


def test_unet_has_the_722_layers_that_a_lora_is_attached_to(unet: UNet2DConditionModel):
    transformers = [module for module in unet.modules() if isinstance(module, Transformer2DModel)]
    assert sum(isinstance(layer, torch.nn.Linear) for module in transformers for layer in module.modules()) == 722


def test_scheduler_is_the_published_one():
    scheduler = json.loads((CONFIGS / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    published = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "num_train_timesteps": 1000,
    }
    published |= {"prediction_type": "epsilon", "timestep_spacing": "leading", "steps_offset": 1}
    assert published.items() <= scheduler.items()


def test_full_size_names_are_those_that_diffusers_reads(unet: UNet2DConditionModel):
    weights = unet.state_dict()
    layout = {PREFIXES["unet"] + unet_name(name, 2): weight for name, weight in weights.items()}
    back = convert_ldm_unet_checkpoint(layout, dict(unet.config))
    assert {name: weight.shape for name, weight in back.items()} == {n: w.shape for n, w in weights.items()}


def test_full_size_vae_names_are_those_that_diffusers_reads():
    vae = diffusers_module(AutoencoderKL, "vae")
    layout = {PREFIXES["vae"] + vae_name(name, 4): weight for name, weight in vae.state_dict().items()}
    assert set(convert_ldm_vae_checkpoint(layout, dict(vae.config))) == set(vae.state_dict())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("conv_in.weight", "input_blocks.0.0.weight"),
        ("add_embedding.linear_2.bias", "label_emb.0.2.bias"),
        ("down_blocks.0.downsamplers.0.conv.weight", "input_blocks.3.0.op.weight"),
        (
            "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
            "input_blocks.4.1.transformer_blocks.0.attn1.to_q",
        ),
        ("mid_block.attentions.0.proj_in", "middle_block.1.proj_in"),
        ("mid_block.resnets.1.conv2.weight", "middle_block.2.out_layers.3.weight"),
        (
            "up_blocks.0.attentions.2.transformer_blocks.9.ff.net.0.proj",
            "output_blocks.2.1.transformer_blocks.9.ff.net.0.proj",
        ),
        ("up_blocks.0.upsamplers.0.conv.weight", "output_blocks.2.2.conv.weight"),
        ("up_blocks.2.resnets.1.conv_shortcut.weight", "output_blocks.7.0.skip_connection.weight"),
    ],
)
def test_unet_names_as_stability_writes_them(ours: str, theirs: str):
    assert unet_name(ours, 2) == theirs
