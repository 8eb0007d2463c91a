"""The base model, and what the LoRA is called."""

from __future__ import annotations

from pydantic import field_validator

from engine.plan.errors import UserError
from engine.plan.option import OptionGroup, option
from engine.plan.option_values import is_plain_name


class ModelOptions(OptionGroup):
    """The base model, and what the LoRA is called."""

    # fmt: off
    pretrained_model_name_or_path: str = option(
        "", "Base model", "Model",
        "The SDXL model that the LoRA is trained on and will be used with: a .safetensors file, a diffusers folder, "
        "the name of a model on Hugging Face that was downloaded, "
        'or the word "micro" for the small practice model that comes with the program.',
        usual="a path", guide="juggernautXL_version3.safetensors",
        words="checkpoint download hub",
    )
    vae: str = option(
        "", "VAE", "Model",
        "Another VAE than the base model's own, for example a repaired one: the part that turns pictures into what the "
        "model sees, and back. Left empty, the base model's is used.",
        usual="empty, or a path", guide="not set", path=True,
        words="autoencoder colours",
    )
    output_name: str = option(
        "", "Name of the LoRA", "Model",
        "The file name of the finished LoRA without its ending; left empty, the project's name is used.",
        usual="the project's name", guide="the trigger word",
    )
    training_comment: str = option(
        "", "Comment", "Model",
        "A line that is kept inside the LoRA file, where people look for the trigger word; left empty, it says so.",
        usual="trigger: WORD", guide="trigger: your trigger word",
    )
    # fmt: on

    @field_validator("output_name")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        if value and not is_plain_name(value):
            raise UserError(
                "bad-value",
                f'output_name must be a plain file name without folders, not "{value}".',
                "Finished LoRAs go to the project's model folder by themselves.",
            )
        return value.removesuffix(".safetensors")
