"""The memory of one training step: what stays between steps, counted, and what lives for a moment, by a formula.

What stays is exact: weights of known sizes and the LoRA's own arithmetic. What lives for a moment was simulated for a
grid of settings (docs/memory.md); `memory_fit.json` holds a few factors for each kind of moment, fitted to that grid by
`python -m benchmarks.memory fit`. No factor is negative, so that more of anything never costs less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from engine.plan.disk import LAYERS, Layers, lora_sizes
from engine.plan.optimizer_states import state_elements
from engine.plan.optimizers import ON_FLAT_BUFFERS, PIECE
from engine.plan.settings import Settings
from engine.plan.trained_parts import encodes_ahead, rates, trains_text

MEGAPIXEL = 1024 * 1024
CHUNK_TOKENS = 75
FLOAT_BYTES = 4
VALUE_BYTES = {"no": 4, "fp16": 2, "bf16": 2}
"""A number of the base model, by mixed_precision."""
MOMENTS = ("forward", "backward")

Stays = dict[str, int]
Features = dict[str, float]


@cache
def fitted() -> Mapping[str, Any]:
    """The factors and sizes that were found by the simulation."""
    found: Mapping[str, Any] = json.loads(Path(__file__).with_name("memory_fit.json").read_text(encoding="utf-8"))
    return found


def trained_layers(settings: Settings) -> list[tuple[str, Layers, int]]:
    """(model, its layers, their rank) for every kind of layer that gets a LoRA in full-size SDXL."""
    layers = LAYERS["sdxl"]
    found = [(str(part), layers[part], settings.network_dim) for part in rates(settings)]
    if settings.train_unet and settings.conv_dim:
        found.append(("unet", layers["residual"], settings.network_dim))
        found.append(("unet", layers["conv"], settings.conv_dim))
    return found


def unet_bytes(settings: Settings) -> int:
    """The U-Net as `base_weights` keeps it."""
    sizes, each = fitted()["weights"], VALUE_BYTES[settings.mixed_precision]
    elements, packed, outside = sizes["unet_elements"], sizes["packed_bytes"], sizes["outside_elements"]
    if settings.base_weights == "full":
        return int(elements * each)
    return int(packed[settings.base_weights] + outside * each)


def stays(settings: Settings) -> Stays:
    """Bytes on the GPU all through the training, by part: nothing that is encoded ahead is among them."""
    weights, sizes = fitted()["weights"], lora_sizes(settings, "sdxl")
    text = weights["text_encoder_elements"] * VALUE_BYTES[settings.mixed_precision]
    kept = state_elements(settings.optimizer_type, settings.optimizer_kwargs, sizes)
    lora = sizes.whole * FLOAT_BYTES
    return {
        "unet": unet_bytes(settings),
        "text_encoders": 0 if encodes_ahead(settings) else int(text),
        "vae": 0 if settings.cache_latents else int(weights["vae_bytes"]),
        "lora": lora * (2 if settings.use_ema else 1),
        "gradients": lora,
        "optimizer": kept * FLOAT_BYTES,
    }


def features(settings: Settings, bucket: tuple[int, int]) -> Features:
    """What the memory of a moment grows with; bucket (width, height) in pixels. `area`: millions of pixels (of 2²⁰) in
    a batch; `tokens`: chunks of 75 tokens in it."""
    area = settings.train_batch_size * bucket[0] * bucket[1] / MEGAPIXEL
    tokens = settings.train_batch_size * settings.max_token_length / CHUNK_TOKENS
    conv = settings.conv_dim if settings.train_unet else 0
    fp8, nf4 = settings.base_weights == "fp8", settings.base_weights == "nf4"
    return {
        "one": 1.0,
        "area": area,
        "fp8": float(fp8),
        "fp8 area": fp8 * area,
        "nf4": float(nf4),
        "nf4 area": nf4 * area,
        "rank area": settings.network_dim * area,
        "conv area": (conv > 0) * area,
        "conv rank area": conv * area,
        "lora elements": float(lora_sizes(settings, "sdxl").whole),
        "tokens": tokens,
        "text 1 tokens": settings.train_text_encoder_1 * tokens,
        "text 2 tokens": settings.train_text_encoder_2 * tokens,
        "text rank tokens": trains_text(settings) * settings.network_dim * tokens,
    }


def cell(settings: Settings) -> str:
    """Which factors hold: they differ with gradient checkpointing and with the size of a number."""
    precision = "whole" if settings.mixed_precision == "no" else "half"
    return f"{precision}, {'checkpointing' if settings.gradient_checkpointing else 'all kept'}"


def moments(settings: Settings, bucket: tuple[int, int]) -> dict[str, int]:
    """Bytes on top of what stays, in each piece of a step; `bucket` (width, height) is the largest."""
    found, known = features(settings, bucket), fitted()["moments"][cell(settings)]
    step = {name: int(sum(known[name][key] * found[key] for key in known[name])) for name in MOMENTS}
    step["optimizer"] = optimizer_moment(settings)
    if settings.scale_weight_norms:
        one, squared = fitted()["max_norm"]
        step["max-norm"] = int(one + squared * max_rank(settings) ** 2)
    if not settings.cache_latents:
        step["encoding"] = vae_bytes("encode", bucket)
    return step


def max_rank(settings: Settings) -> int:
    return max(settings.network_dim, settings.conv_dim if settings.train_unet else 0)


def optimizer_moment(settings: Settings) -> int:
    """What the optimizer calculates with beside its state: some tensors of the size of a piece of the LoRA, of a
    matrix, or, where nothing is known of it, of all."""
    if settings.optimizer_type in ON_FLAT_BUFFERS:
        return int(fitted()["optimizer_pieces"][settings.optimizer_type] * piece_elements(settings) * FLOAT_BYTES)
    if settings.optimizer_type == "Adafactor":
        largest = fitted()["largest_layer"] * max_rank(settings)
        return int(fitted()["optimizer_pieces"]["Adafactor"] * largest * FLOAT_BYTES)
    return lora_sizes(settings, "sdxl").whole * FLOAT_BYTES


def piece_elements(settings: Settings) -> int:
    """The largest tensor that an optimizer is given of the two flat buffers of each model."""
    sides: dict[tuple[str, str], int] = {}
    for model, layers, rank in trained_layers(settings):
        for side, count in (("downs", layers.inputs), ("ups", layers.outputs)):
            sides[model, side] = sides.get((model, side), 0) + count * rank
    return min(PIECE, max(sides.values(), default=0))


def vae_bytes(what: str, size: tuple[int, int]) -> int:
    """What the VAE needs to "encode" or "decode" one picture (width, height) beside its own weights."""
    one, area = fitted()["vae"][what]
    return int(one + area * size[0] * size[1] / MEGAPIXEL)
