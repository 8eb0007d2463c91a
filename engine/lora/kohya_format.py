"""LoRA files of PEFT and diffusers as sd-scripts writes them, for A1111, Forge, ComfyUI and sd-scripts."""

from __future__ import annotations

from torch import Tensor

from engine.lora import weights
from engine.lora.sdxl_layers import under_stems
from engine.lora.weights import LoraFile


def in_kohya_format(file: LoraFile) -> LoraFile:
    """`file`, of any program, under sd-scripts' names, each layer with an alpha; values and dtypes stay.

    What A1111 looks for to list it with SDXL's models is in the metadata. Raises UserError `other-kind` for what is no
    plain LoRA, `not-a-lora`, `lora-does-not-fit` for one of no SDXL model.
    """
    plain, targets = under_stems(file)
    tensors: dict[str, Tensor] = {}
    for stem in (target.stem for target in targets):
        down = plain.tensors[f"{stem}.lora_down.weight"]
        tensors[f"{stem}.lora_down.weight"] = down.contiguous()
        tensors[f"{stem}.lora_up.weight"] = plain.tensors[f"{stem}.lora_up.weight"].contiguous()
        tensors[f"{stem}.alpha"] = plain.tensors[f"{stem}.alpha"].to(down.dtype)
    made = LoraFile(tensors)
    about = {
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_network_module": "networks.lora",
        **weights.kept_metadata(file),
        "ss_network_dim": str(weights.rank_of(made)),
        "ss_network_alpha": str(weights.alpha_of(made)),
    }
    return LoraFile(tensors, about)
