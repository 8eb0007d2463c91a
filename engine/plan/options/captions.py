"""How the words beside the pictures are used."""

from __future__ import annotations

from pydantic import field_validator

from engine.plan.errors import UserError
from engine.plan.option import OptionGroup, option
from engine.plan.option_values import is_plain_name


class CaptionOptions(OptionGroup):
    """How the words beside the pictures are used."""

    # fmt: off
    caption_extension: str = option(
        ".txt", "Ending of caption files", "Captions",
        "Which file beside a picture holds its caption; with the wrong ending all captions are silently missed.",
        usual=".txt or .caption", guide=".txt",
        page="basic", words="txt caption files",
    )
    caption_dropout_rate: float = option(
        0.1, "Rate of caption dropout", "Captions",
        "Hides the caption this often (0.1: every tenth time), so that the look is also learnt without the words.",
        usual="0 to 0.1", guide="0.1", limits=(0.0, 1.0),
        words="overfitting captions", step=0.05,
    )
    # fmt: on

    @field_validator("caption_extension")
    @classmethod
    def _leading_dot(cls, value: str) -> str:
        ending = value if value.startswith(".") else f".{value}"
        if len(ending) < 2 or not is_plain_name(ending[1:]):
            raise UserError("bad-value", f'caption_extension must be a file ending such as ".txt", not "{value}".')
        return ending
