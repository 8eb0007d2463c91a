"""What a single-file checkpoint is, told from the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.safetensors_header import Tensor

SDXL_CHANNELS, MICRO_CHANNELS = 320, 32
"""Output channels of the U-Net's first layer."""

_UNET = "model.diffusion_model."
_FIRST = _UNET + "input_blocks.0.0.weight"
_VAE = "first_stage_model."
_TEXT_1 = "conditioner.embedders.0.transformer.text_model."
_TEXT_2 = "conditioner.embedders.1.model."

_ADAPTER_MARKS = (".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".hada_w1_", ".lokr_w", "lora.down.", "lora.up.")
_EDM_MARKS = ("edm_vpred.sigma_max", "edm_vpred.sigma_min", "edm_mean", "edm_std")

# Models that are no SDXL, by a part of a name that only they have.
_OTHER_MODELS = (
    ("Flux", "double_blocks."),
    ("Stable Diffusion 3", "joint_blocks."),
    ("Stable Diffusion 2", "cond_stage_model.model."),
    ("Stable Diffusion 1.5", "cond_stage_model.transformer."),
    ("Stable Cascade", "clip_txt_pooled_mapper."),
    ("PixArt", "y_embedder."),
    ("Hunyuan-DiT", "mlp_t5."),
    ("AuraFlow", "double_layers."),
    ("Z-Image or Lumina", "noise_refiner."),
    ("Qwen-Image", "transformer_blocks.0.img_mlp."),
)

# What goes beside a model, by how names begin that only it has: as diffusers, their authors and ComfyUI write them.
_BESIDE_A_MODEL = (
    ("a ControlNet", ("controlnet_cond_embedding.", "controlnet_down_blocks.", "control_model.", "lllite_")),
    ("an IP-Adapter", ("ip_adapter.", "image_proj.")),
    ("a T5 text encoder", ("encoder.block.0.layer.0.SelfAttention.", "t5xxl.")),
)


def size_of(path: Path | str, tensors: Mapping[str, Tensor]) -> str:
    """ "sdxl" or "micro". Raises UserError `is-a-lora`, `not-sdxl` or `incomplete` for everything else."""
    if any(mark in name for name in tensors for mark in _ADAPTER_MARKS):
        raise UserError(
            "is-a-lora",
            f"{path} is a LoRA, not a base model.",
            "Choose the SDXL model that the LoRA is to be trained on, a file of about 6.9 GB.",
        )
    first = tensors.get(_FIRST)
    # A refiner has the same layout with one text encoder, so text encoders are looked at before what else is missing.
    for model, mark in _OTHER_MODELS:
        if any(mark in name for name in tensors):
            raise not_sdxl(path, f"It is a {model} model.")
    if first is None or len(first.shape) != 4:
        raise not_sdxl(path, _guess_part(tensors))
    if not any(name.startswith(_TEXT_1) for name in tensors) and any(
        name.startswith("conditioner.embedders.0.model.") for name in tensors
    ):
        raise not_sdxl(path, "It is the SDXL refiner, which is no base model.")
    _require_all_parts(path, tensors)
    outputs, inputs = first.shape[:2]
    if inputs == 9:
        raise not_sdxl(path, "It is an inpainting model.")
    if inputs != 4 or outputs not in (SDXL_CHANNELS, MICRO_CHANNELS):
        raise not_sdxl(path, f"Its first layer has {inputs} to {outputs} channels instead of 4 to {SDXL_CHANNELS}.")
    if outputs == MICRO_CHANNELS:
        return "micro"
    # SDXL has ten transformer blocks at its lowest resolution; distilled models (SSD-1B, Vega) left some of them out.
    if not any(name.startswith(f"{_UNET}input_blocks.8.1.transformer_blocks.9.") for name in tensors):
        raise not_sdxl(path, "It is a distilled model with fewer layers, such as SSD-1B.")
    return "sdxl"


def velocity_marks(path: Path | str, names: Container[str]) -> tuple[bool, bool]:
    """Whether marker tensors say v-prediction, and zero-terminal SNR. Raises UserError `edm-unsupported`.

    The markers are those that ComfyUI reads (`supported_models.SDXL.model_type`); other trainers do not look at them
    and train such models wrongly without a word: the pictures come out burnt or empty.
    """
    if any(mark in names for mark in _EDM_MARKS):
        raise UserError(
            "edm-unsupported",
            f"{path} predicts in a way (EDM, as CosXL and Playground 2.5 do) that cannot be trained here.",
            "Choose an SDXL model without it.",
        )
    return "v_pred" in names, "ztsnr" in names


def not_sdxl(path: Path | str, why: str) -> UserError:
    """The refusal of a model of another kind."""
    return UserError("not-sdxl", f"{path} is not an SDXL model. {why}", "Choose an SDXL model.")


def _guess_part(tensors: Mapping[str, Tensor]) -> str:
    for what, marks in _BESIDE_A_MODEL:
        if any(name.startswith(marks) for name in tensors):
            return f"It is {what}."
    if any(name.startswith(("down_blocks.", "unet.down_blocks.")) for name in tensors):
        return "It holds only a U-Net; the whole model with text encoders and VAE is needed."
    if any(name.startswith(("encoder.down", _VAE + "encoder")) for name in tensors):
        return "It holds only a VAE."
    if any(name.startswith(("text_model.", "transformer.")) for name in tensors):
        return "It holds only a text encoder."
    if any(name in tensors for name in ("emb_params", "clip_g", "clip_l")):
        return "It is an embedding (textual inversion)."
    return "None of its parts are those of SDXL."


def _require_all_parts(path: Path | str, tensors: Mapping[str, Tensor]) -> None:
    parts = {"VAE": _VAE, "first text encoder": _TEXT_1, "second text encoder": _TEXT_2}
    missing = [part for part, prefix in parts.items() if not any(name.startswith(prefix) for name in tensors)]
    if missing:
        raise UserError(
            "incomplete",
            f"{path} is an SDXL model without its {' and its '.join(missing)}.",
            "Choose a full checkpoint, a file of about 6.9 GB.",
        )
