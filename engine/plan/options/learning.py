"""The optimizer and its steps."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from engine.plan.optimizers import KNOWN, PRODIGY_ARGS, is_class_path
from engine.plan.option import OptionGroup, option
from engine.plan.option_values import parse_arguments, steps_or_share

Scheduler = Literal[
    "constant",
    "constant_with_warmup",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "inverse_sqrt",
    "cosine_with_min_lr",
    "warmup_stable_decay",
    "piecewise_constant",
]


class LearningOptions(OptionGroup):
    """The optimizer and its steps."""

    # fmt: off
    optimizer_type: str = option(
        "Prodigy", "Optimizer", "Learning",
        "How the LoRA is changed at each step: Prodigy finds the right size of a step by itself; AdamW, Adafactor "
        "(little memory) and Lion take the learning rate you give them; AdamW8bit is AdamW with a quarter of its "
        "memory. Any other one is named as module.Class.",
        usual="Prodigy", guide="Prodigy (Adafactor on a smaller GPU)",
        known=tuple(KNOWN), otherwise="a class as module.Class",
        page="basic", words="memory prodigy adamw adafactor lion 8bit bitsandbytes",
    )
    learning_rate: float = option(
        1.0, "Learning rate", "Learning",
        "How far each step goes. With Prodigy it multiplies a step size that Prodigy finds by itself and stays at 1.0; "
        "the guide's 0.0001 to 0.0003 would make Prodigy learn almost nothing, that range is meant for AdamW.",
        usual="1.0 with Prodigy, 0.00005 to 0.0005 with AdamW and Adafactor, 0.00001 to 0.0001 with Lion",
        guide="0.0001 to 0.0003 (with Prodigy a mistake: the preset it starts from says 1.0)",
        limits=(0.0, 100.0),
        page="basic", words="lr rate speed overfitting", step=0.1,
    )
    optimizer_args: tuple[str, ...] = option(
        PRODIGY_ARGS, "Arguments for the optimizer", "Learning",
        "Further settings of the optimizer as name=value; each optimizer has its own, and the guide's fit Prodigy and "
        "nothing else.",
        usual="the guide's for Prodigy and Adafactor, none for others", guide=" ".join(PRODIGY_ARGS),
        page="basic", words="prodigy d0 weight decay",
    )
    max_grad_norm: float = option(
        1.0, "Limit of the gradient", "Learning",
        "Shortens a step that one odd batch would make too long; 0 switches the limit off.",
        usual="1.0 (0 with Adafactor)", guide="1.0", limits=(0.0, 1e6),
        words="gradient clipping stability", step=0.1,
    )
    lr_scheduler: Scheduler = option(
        "constant", "Schedule of the rate", "Learning",
        "How the learning rate goes on during the training: constant keeps it, cosine and linear let it fall to zero, "
        "so that the last steps only refine what was learnt.",
        usual="constant with Prodigy, cosine with AdamW", guide="constant",
        words="lr scheduler decay cosine linear warmup",
    )
    lr_warmup_steps: int | float = option(
        0, "Warm-up steps", "Learning",
        "For how many steps the learning rate rises from zero at the beginning; a number under 1 is a share of all "
        "steps, 0.1 a tenth. 0 begins with the whole rate.",
        usual="0 with Prodigy, 0.05 to 0.1 with AdamW", guide="0", limits=(0.0, 10_000_000.0),
        otherwise="whole from 1 on",
        words="lr warmup scheduler start", step=10,
    )
    lr_decay_steps: int | float = option(
        0, "Decay steps", "Learning",
        "With the schedule warmup_stable_decay: over how many steps at the end the rate falls; a number under 1 is a "
        "share of all steps. The other schedules do not use it.",
        usual="0.1 to 0.3", guide="not set", limits=(0.0, 10_000_000.0),
        otherwise="whole from 1 on",
        words="lr scheduler wsd", step=10,
    )
    lr_scheduler_num_cycles: int = option(
        1, "Cycles of the schedule", "Learning",
        "With cosine_with_restarts: how often the rate falls and starts again from the top.",
        usual="1 to 5", guide="1", limits=(1, 10_000),
        words="lr scheduler cosine restarts",
    )
    lr_scheduler_power: float = option(
        1.0, "Power of the schedule", "Learning",
        "With polynomial: 1 falls in a straight line, 2 falls faster at first and slower at the end.",
        usual="1 to 2", guide="not set (1)", limits=(0.0, 100.0),
        words="lr scheduler polynomial", step=0.5,
    )
    lr_scheduler_min_lr_ratio: float = option(
        0.0, "Lowest part of the rate", "Learning",
        "With cosine_with_min_lr and warmup_stable_decay: the part of the learning rate at which it stops falling.",
        usual="0.1", guide="not set", limits=(0.0, 1.0),
        words="lr scheduler minimum", step=0.05,
    )
    lr_scheduler_args: tuple[str, ...] = option(
        (), "Arguments for the schedule", "Learning",
        "Further settings of the schedule as name=value; piecewise_constant needs its rules: "
        "step_rules=\"1:100,0.1\" is the whole rate for 100 steps and a tenth of it afterwards.",
        usual="none", guide="none",
        words="lr scheduler step rules timescale",
    )
    # fmt: on

    @field_validator("optimizer_args", "lr_scheduler_args", mode="before")
    @classmethod
    def _split_arguments(cls, value: object) -> object:
        """sd-scripts' own form is a list; one text with spaces between the arguments is what GUIs keep."""
        parts = value.split() if isinstance(value, str) else value
        return tuple(parts) if isinstance(parts, list) else parts

    @field_validator("optimizer_args")
    @classmethod
    def _readable_optimizer_args(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_arguments("optimizer_args", value)
        return value

    @field_validator("lr_scheduler_args")
    @classmethod
    def _readable_scheduler_args(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_arguments("lr_scheduler_args", value)
        return value

    @field_validator("optimizer_type")
    @classmethod
    def _known_or_a_class(cls, value: str) -> str:
        if value not in KNOWN and not is_class_path(value):
            raise ValueError(value)
        return value

    @field_validator("lr_warmup_steps", "lr_decay_steps", mode="before")
    @classmethod
    def _steps_or_a_share(cls, value: object) -> object:
        return steps_or_share(value)

    @property
    def optimizer_kwargs(self) -> dict[str, object]:
        """`optimizer_args` as keyword arguments for the optimizer's class.

        Adafactor's relative_step is True where nothing else is said, and always with warmup_init (sd-scripts:
        `train_util.get_optimizer`).
        """
        arguments = parse_arguments("optimizer_args", self.optimizer_args)
        if self.optimizer_type == "Adafactor":
            arguments["relative_step"] = bool(arguments.get("relative_step", True) or arguments.get("warmup_init"))
        return arguments

    @property
    def finds_its_own_rate(self) -> bool:
        """Adafactor with relative_step: neither learning_rate nor lr_scheduler is used."""
        return self.optimizer_type == "Adafactor" and bool(self.optimizer_kwargs["relative_step"])

    @property
    def scheduler_kwargs(self) -> dict[str, object]:
        """`lr_scheduler_args` as keyword arguments for the schedule."""
        return parse_arguments("lr_scheduler_args", self.lr_scheduler_args)

    @property
    def schedule(self) -> Scheduler:
        """The schedule that is really used: constant with a warm-up is constant_with_warmup."""
        return "constant_with_warmup" if self.lr_scheduler == "constant" and self.lr_warmup_steps else self.lr_scheduler

    def warmup_steps(self, total: int) -> int:
        """`lr_warmup_steps` of a training of `total` steps, in steps."""
        return in_steps(self.lr_warmup_steps, total)

    def decay_steps(self, total: int) -> int:
        """`lr_decay_steps` of a training of `total` steps, in steps."""
        return in_steps(self.lr_decay_steps, total)


def in_steps(steps_or_share: int | float, total: int) -> int:
    """A share of `total` (a number under 1), or steps as they are (sd-scripts: `train_util.get_scheduler_fix`)."""
    return int(steps_or_share * total) if isinstance(steps_or_share, float) else steps_or_share
