"""Module names as sd-scripts, A1111, Forge and ComfyUI spell them (`lora_unet_input_blocks_4_1_…`).

diffusers counts blocks as `down_blocks.1.attentions.0`, Stability's original code as `input_blocks.4.1`; LoRA files use
the latter with dots replaced by underscores. The rule below holds for any number of layers a block, so the micro model
follows it too (sd-scripts: `sdxl_model_util.convert_diffusers_unet_state_dict_to_sdxl`).
"""

from __future__ import annotations

import re

_ATTENTION = re.compile(
    r"(?P<part>down_blocks|mid_block|up_blocks)\.(?:(?P<block>\d+)\.)?attentions\.(?P<layer>\d+)\.(?P<rest>.+)"
)


def unet_stem(name: str, layers_per_block: int) -> str:
    """The file's stem for a module of a diffusers U-Net, e.g. ``down_blocks.1.attentions.0.proj_in`` with
    ``layers_per_block`` 2 is ``lora_unet_input_blocks_4_1_proj_in``.

    Raises ValueError for a module outside the attention blocks, which sd-scripts does not train by default.
    """
    match = _ATTENTION.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is not inside an attention block of the U-Net")
    layer = int(match["layer"])
    if match["part"] == "mid_block":
        place = "middle_block_1"
    elif match["part"] == "down_blocks":
        # input_blocks: 0 is conv_in, then each block has its layers and one downsampler
        place = f"input_blocks_{1 + int(match['block']) * (layers_per_block + 1) + layer}_1"
    else:
        # output_blocks: each block has one layer more than on the way down, and no entry for its upsampler
        place = f"output_blocks_{int(match['block']) * (layers_per_block + 1) + layer}_1"
    return f"lora_unet_{place}_{match['rest'].replace('.', '_')}"
