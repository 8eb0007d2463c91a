"""The built-in micro SDXL model: diffusers' and transformers' own SDXL classes at tiny size, freshly initialised.

The shapes follow SDXL part by part (four VAE levels, factor 8, three U-Net levels, two text encoders of which the
second is pooled), so every line of code that handles the real model handles this one unchanged.
"""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

VAE_SCALING_FACTOR = 0.13025
TEXT_WIDTH = 64
CROSS_ATTENTION_DIM = 2 * TEXT_WIDTH

UNET_CONFIG: dict[str, Any] = {
    "sample_size": 12,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (32, 64, 128),
    "layers_per_block": 1,
    "transformer_layers_per_block": (1, 1, 2),
    "attention_head_dim": (2, 4, 8),  # in SDXL's configs this is the number of heads, here of 16 dimensions each
    "cross_attention_dim": CROSS_ATTENTION_DIM,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 16,
    "projection_class_embeddings_input_dim": TEXT_WIDTH + 6 * 16,
    "norm_num_groups": 8,
}
VAE_CONFIG: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 16, 32, 64),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 1,  # with 1 or 2 channels a group, GroupNorm would erase the colour of a flat picture
    "sample_size": 96,
    "scaling_factor": VAE_SCALING_FACTOR,
    "force_upcast": False,
}


def unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(**UNET_CONFIG)


def vae() -> AutoencoderKL:
    return AutoencoderKL(**VAE_CONFIG)


def text_encoders(vocabulary_size: int) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    """Both encoders, for a vocabulary whose last two ids are the start and the end token."""

    def config(activation: str, pad: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=3,  # SDXL reads the last but one layer, so three give two useful ones
            num_attention_heads=4,
            max_position_embeddings=77,
            hidden_act=activation,
            bos_token_id=vocabulary_size - 2,
            eos_token_id=vocabulary_size - 1,
            pad_token_id=pad,
        )

    first = CLIPTextModel(config("quick_gelu", vocabulary_size - 1))
    return first, CLIPTextModelWithProjection(config("gelu", 0))


def scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="epsilon",
        timestep_spacing="leading",
        steps_offset=1,
    )
