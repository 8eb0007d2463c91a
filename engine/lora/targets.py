"""Which layers of SDXL get a LoRA, and under which names they stand in its file.

The names are those that sd-scripts, A1111, Forge and ComfyUI spell (`lora_unet_input_blocks_4_1_…`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from diffusers import UNet2DConditionModel
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from torch import nn

from engine.models.single_file import unet_name
from engine.plan.trained_parts import Part

PREFIXES: dict[Part, str] = {"unet": "lora_unet_", "text_encoder_1": "lora_te1_", "text_encoder_2": "lora_te2_"}

_CONV_BLOCKS = (ResnetBlock2D, Downsample2D, Upsample2D)
_TEXT_LAYER = re.compile(
    r"(?:text_model\.)?(encoder\.layers\.\d+\.(?:self_attn\.[qkv]_proj|self_attn\.out_proj|mlp\.fc[12]))"
)


@dataclass(frozen=True)
class Target:
    """One layer: of which model, its name there, its stem in the file; `conv`: a convolution larger than 1x1."""

    part: Part
    name: str
    stem: str
    conv: bool = False


def unet_targets(unet: UNet2DConditionModel, conv: bool = False) -> Iterator[Target]:
    """The layers that sd-scripts trains (`networks/lora.py`, `UNET_TARGET_REPLACE_MODULE`), 722 in SDXL.

    All Linear layers of every attention block: proj_in and proj_out, the queries, keys, values and outputs of both
    attentions and both feed-forward layers. With `conv` (LoCon, its `..._CONV2D_3X3`) 66 more: the convolutions and
    time embeddings of the residual blocks, and the down- and upsamplers.
    """
    layers_per_block = unet.config["layers_per_block"]
    for kinds in ((Transformer2DModel,), _CONV_BLOCKS if conv else ()):
        for block_name, block in unet.named_modules():
            if not isinstance(block, kinds):
                continue
            for name, layer in block.named_modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    whole = f"{block_name}.{name}"
                    large = isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)
                    yield Target("unet", whole, unet_stem(whole, layers_per_block), large)


def every_target(models: Mapping[Part, nn.Module]) -> Iterator[Target]:
    """All layers of these models that can have a LoRA."""
    for part, model in models.items():
        if part == "unet":
            yield from unet_targets(cast(UNet2DConditionModel, model), conv=True)
        else:
            yield from text_targets(model, part)


def text_targets(encoder: nn.Module, part: Part) -> Iterator[Target]:
    """Attention and feed-forward layers of a CLIP text encoder: 72 in SDXL's first, 192 in its second.

    Their stems always have `text_model`, which transformers 5 has dropped from the first encoder's names: without it
    four of five programs ignore the layer, and say nothing.
    """
    for name, layer in encoder.named_modules():
        found = _TEXT_LAYER.fullmatch(name)
        if found and isinstance(layer, nn.Linear):
            yield Target(part, name, f"{PREFIXES[part]}text_model_{found[1].replace('.', '_')}")


def unet_stem(name: str, layers_per_block: int) -> str:
    """The file's stem for a module of a diffusers U-Net: Stability's name with dots replaced by underscores.

    With SDXL's `layers_per_block` 2, ``down_blocks.1.attentions.0.proj_in`` is ``lora_unet_input_blocks_4_1_proj_in``.
    """
    return PREFIXES["unet"] + unet_name(name, layers_per_block).replace(".", "_")
