"""Judgements on how the learning rate goes on during the training."""

from __future__ import annotations

import json
from collections.abc import Iterator

from engine.plan.errors import Finding, UserError, plural
from engine.plan.remedy import set_line
from engine.plan.settings import Settings

_OF_ONE_SCHEDULE = {
    "lr_decay_steps": ("warmup_stable_decay",),
    "lr_scheduler_num_cycles": ("cosine_with_restarts", "cosine_with_min_lr", "warmup_stable_decay"),
    "lr_scheduler_power": ("polynomial",),
    "lr_scheduler_min_lr_ratio": ("cosine_with_min_lr", "warmup_stable_decay"),
}
_WITH_ARGUMENTS = {
    "cosine": ("num_cycles",),
    "polynomial": ("lr_end",),
    "inverse_sqrt": ("timescale",),
    "warmup_stable_decay": ("decay_type", "warmup_type"),
    "piecewise_constant": ("step_rules",),
}
"""What transformers' and diffusers' schedules take for which there is no option."""


def check_schedule(settings: Settings, total: int | None) -> Iterator[Finding]:
    """What is worth saying about the schedule; `total`: steps of the training, None where they are not known."""
    if settings.finds_its_own_rate:
        return  # it has none, which is said elsewhere
    yield from _arguments(settings)
    if settings.lr_scheduler == "piecewise_constant":
        yield from _rules(settings)
        if settings.lr_warmup_steps:
            yield _unused("lr_warmup_steps", settings, 0)
    elif settings.lr_warmup_steps:
        yield from _warm_up(settings)
    elif settings.lr_scheduler == "constant_with_warmup":
        yield Finding(
            "warm-up-missing",
            "constant_with_warmup with lr_warmup_steps = 0 is just constant.",
            set_line("lr_warmup_steps", "0.05"),
            level="note",
            option="lr_warmup_steps",
            value=0.05,
        )
    for option, schedules in _OF_ONE_SCHEDULE.items():
        default = type(settings).model_fields[option].default
        if getattr(settings, option) != default and settings.lr_scheduler not in schedules:
            yield _unused(option, settings, default)
    if settings.lr_scheduler == "warmup_stable_decay" and not settings.lr_decay_steps:
        yield Finding(
            "decay-missing",
            "warmup_stable_decay with lr_decay_steps = 0 never lets the rate fall.",
            set_line("lr_decay_steps", "0.2"),
            option="lr_decay_steps",
            value=0.2,
        )
    if total:
        yield from _lengths(settings, total)


def _warm_up(settings: Settings) -> Iterator[Finding]:
    if settings.lr_scheduler == "constant":
        yield Finding(
            "constant-with-warm-up",
            "lr_scheduler constant has no warm-up (sd-scripts stops with an error here); this training warms up all "
            "the same, as constant_with_warmup does.",
            set_line("lr_scheduler", '"constant_with_warmup"'),
            option="lr_scheduler",
            value="constant_with_warmup",
        )
    if settings.optimizer_type == "Prodigy" and not settings.optimizer_kwargs.get("safeguard_warmup"):
        kept = [a for a in settings.optimizer_args if not a.startswith("safeguard_warmup")]
        mended = [*kept, "safeguard_warmup=True"]
        yield Finding(
            "prodigy-warm-up",
            "The small rates of a warm-up disturb Prodigy's estimate of its steps, unless optimizer_args has "
            "safeguard_warmup=True.",
            set_line("optimizer_args", json.dumps(mended, ensure_ascii=False), " ".join(mended)),
            level="note",
            option="optimizer_args",
            value=mended,
        )


def _lengths(settings: Settings, total: int) -> Iterator[Finding]:
    warmup, decay = settings.warmup_steps(total), settings.decay_steps(total)
    if settings.lr_scheduler == "piecewise_constant":
        return
    if warmup >= total:
        yield Finding(
            "warm-up-too-long",
            f"lr_warmup_steps {warmup:,} is not shorter than the training of {plural(total, 'step')}: it would end "
            "before it reaches its learning rate.",
            set_line("lr_warmup_steps", "0.05"),
            option="lr_warmup_steps",
            value=0.05,
            blocks_training=True,
        )
    elif settings.lr_scheduler == "warmup_stable_decay" and warmup + decay > total:
        yield Finding(
            "decay-too-long",
            f"lr_warmup_steps {warmup:,} and lr_decay_steps {decay:,} are more than the {plural(total, 'step')} of the "
            "training.",
            set_line("lr_decay_steps", "0.2"),
            option="lr_decay_steps",
            value=0.2,
            blocks_training=True,
        )


def _unused(option: str, settings: Settings, default: object) -> Finding:
    schedules = _OF_ONE_SCHEDULE.get(option)
    only = (
        f"only {' and '.join(schedules)} use{'s' if len(schedules) == 1 else ''} it"
        if schedules
        else "it has its rules"
    )
    return Finding(
        "schedule-option-unused",
        f"{option} does nothing with lr_scheduler {settings.lr_scheduler}: {only}.",
        set_line(option, str(default)),
        option=option,
        value=default,
    )


def _arguments(settings: Settings) -> Iterator[Finding]:
    known = _WITH_ARGUMENTS.get(settings.lr_scheduler, ())
    wrong = [a for a in settings.lr_scheduler_args if a.partition("=")[0].strip() not in known]
    if not wrong:
        return
    right = [argument for argument in settings.lr_scheduler_args if argument not in wrong]
    names = ", ".join(argument.partition("=")[0].strip() for argument in wrong)
    yield Finding(
        "schedule-args-unknown",
        f"lr_scheduler {settings.lr_scheduler} has no argument {names}.",
        set_line("lr_scheduler_args", json.dumps(right, ensure_ascii=False), " ".join(right)),
        level="error",
        option="lr_scheduler_args",
        value=right,
        overridable=False,
    )


def _rules(settings: Settings) -> Iterator[Finding]:
    try:
        parse_rules(settings.scheduler_kwargs.get("step_rules"))
    except UserError as error:
        example = ['step_rules="1:100,0.1"']
        yield Finding(
            error.code,
            error.message,
            set_line("lr_scheduler_args", json.dumps(example), example[0]),
            level="error",
            option="lr_scheduler_args",
            value=example,
            overridable=False,
        )


def parse_rules(text: object) -> list[tuple[float, int | None]]:
    """(factor, up to which step) of diffusers' `step_rules`: "1:10,0.1:20,0.01"; the last one has no end.

    Raises UserError `bad-step-rules`.
    """
    try:
        *parts, last = str(text or "").split(",")
        pairs = [part.split(":") for part in parts]
        found: list[tuple[float, int | None]] = [(float(factor), int(step)) for factor, step in pairs]
        return [*found, (float(last), None)]
    except ValueError:
        raise UserError(
            "bad-step-rules",
            "lr_scheduler piecewise_constant needs its rules in lr_scheduler_args, as factor:step with commas between "
            "them and a last factor.",
        ) from None
