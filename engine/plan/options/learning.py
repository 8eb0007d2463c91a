"""The optimizer and its steps."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from engine.plan.option import OptionGroup, option
from engine.plan.option_values import parse_optimizer_args

PRODIGY_ARGS = ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True")
"""The guide's arguments for Prodigy."""


class LearningOptions(OptionGroup):
    """The optimizer and its steps."""

    # fmt: off
    optimizer_type: Literal["Prodigy", "AdamW"] = option(
        "Prodigy", "Optimizer", "Learning",
        "How the LoRA is changed at each step: Prodigy finds the right size of a step by itself, AdamW takes the "
        "learning rate you give it.",
        usual="Prodigy", guide="Prodigy",
        page="basic", words="memory prodigy adamw",
    )
    learning_rate: float = option(
        1.0, "Learning rate", "Learning",
        "How far each step goes. With Prodigy it multiplies a step size that Prodigy finds by itself and stays at 1.0; "
        "the guide's 0.0001 to 0.0003 would make Prodigy learn almost nothing, that range is meant for AdamW.",
        usual="1.0 with Prodigy, 0.00005 to 0.0005 with AdamW",
        guide="0.0001 to 0.0003 (with Prodigy a mistake: the preset it starts from says 1.0)",
        limits=(0.0, 100.0),
        page="basic", words="lr rate speed overfitting", step=0.1,
    )
    optimizer_args: tuple[str, ...] = option(
        PRODIGY_ARGS, "Arguments for the optimizer", "Learning",
        "Further settings of the optimizer as name=value; the guide's own fit Prodigy and nothing else.",
        usual="the guide's for Prodigy, none for AdamW", guide=" ".join(PRODIGY_ARGS),
        page="basic", words="prodigy d0 weight decay",
    )
    max_grad_norm: float = option(
        1.0, "Limit of the gradient", "Learning",
        "Shortens a step that one odd batch would make too long; 0 switches the limit off.",
        usual="1.0", guide="1.0", limits=(0.0, 1e6),
        words="gradient clipping stability", step=0.1,
    )
    # fmt: on

    @field_validator("optimizer_args", mode="before")
    @classmethod
    def _split_arguments(cls, value: object) -> object:
        """sd-scripts' own form is a list; one text with spaces between the arguments is what GUIs keep."""
        parts = value.split() if isinstance(value, str) else value
        return tuple(parts) if isinstance(parts, list) else parts

    @field_validator("optimizer_args")
    @classmethod
    def _readable_arguments(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_optimizer_args(value)
        return value

    @property
    def optimizer_kwargs(self) -> dict[str, object]:
        """`optimizer_args` as keyword arguments for the optimizer's class."""
        return parse_optimizer_args(self.optimizer_args)
