"""Module names as sd-scripts, A1111, Forge and ComfyUI spell them in LoRA files (`lora_unet_input_blocks_4_1_…`)."""

from __future__ import annotations

from engine.models.single_file import unet_name


def unet_stem(name: str, layers_per_block: int) -> str:
    """The file's stem for a module of a diffusers U-Net: Stability's name with dots replaced by underscores.

    With SDXL's `layers_per_block` 2, ``down_blocks.1.attentions.0.proj_in`` is ``lora_unet_input_blocks_4_1_proj_in``.
    """
    return "lora_unet_" + unet_name(name, layers_per_block).replace(".", "_")
