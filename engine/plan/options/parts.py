"""Which parts of the model are trained, and how fast each."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from engine.plan.errors import UserError
from engine.plan.option import OptionGroup, option


class PartOptions(OptionGroup):
    """Which parts of the model are trained, and how fast each."""

    # fmt: off
    train_unet: bool = option(
        True, "Train the U-Net", "What is trained",
        "The part that draws. Off, only the understanding of words is trained, which teaches little of how something "
        "looks.",
        usual="on", guide="on",
        words="unet picture",
    )
    train_text_encoder_1: bool = option(
        False, "Train text encoder 1", "What is trained",
        "Also changes how the smaller of the two text encoders understands words: the trigger word may take better, "
        "other words suffer sooner, and each step needs more memory and time.",
        usual="off", guide="on, by mistake: its 0 for the learning rate means \"not set\"",
        words="text encoder clip words trigger memory vram overfitting",
    )
    train_text_encoder_2: bool = option(
        False, "Train text encoder 2", "What is trained",
        "The same for the larger text encoder, which needs more memory still.",
        usual="off", guide="on, by mistake: its 0 for the learning rate means \"not set\"",
        words="text encoder clip words trigger memory vram overfitting",
    )
    unet_lr: str = option(
        "", "Rate of the U-Net", "What is trained",
        "A learning rate for the U-Net alone; left empty, it is the learning rate. Prodigy wants one rate for all.",
        usual="empty", guide="0, which means \"not set\" there",
        words="learning rate lr",
    )
    text_encoder_lr: str = option(
        "", "Rate of the text encoders", "What is trained",
        "A learning rate for the text encoders alone, or two with a blank between them, one for each; left empty, it "
        "is the learning rate. They need a lower one than the U-Net.",
        usual="empty, or half of the learning rate with AdamW", guide="0, which means \"not set\" there",
        words="learning rate lr text encoder",
    )
    # fmt: on

    @field_validator("unet_lr", "text_encoder_lr", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """Numbers, and lists of them, as text."""
        if isinstance(value, list | tuple) and all(type(number) in (int, float) for number in value):
            return " ".join(repr(number) for number in value)
        return repr(value) if type(value) in (int, float) else value

    @field_validator("unet_lr", "text_encoder_lr")
    @classmethod
    def _rates(cls, value: str, info: ValidationInfo) -> str:
        name = info.field_name
        most = 2 if name == "text_encoder_lr" else 1
        numbers = parse_rates(value)
        if len(numbers) > most or not all(0 < number <= 100 for number in numbers):
            switch = "train_text_encoder_1" if most == 2 else "train_unet"
            raise UserError(
                "bad-value",
                f'{name} must be empty or a number above 0{", or two" if most == 2 else ""}, not "{value}".',
                f"To leave that part as it is: {switch} = false.",
            )
        return " ".join(value.split())


def parse_rates(text: str) -> list[float]:
    """The numbers of a text with blanks between them; [-1.0] for what is none."""
    try:
        return [float(part) for part in text.split()]
    except ValueError:
        return [-1.0]
