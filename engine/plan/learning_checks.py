"""Judgements on the optimizer: its learning rate, its arguments, and whether it is there at all."""

from __future__ import annotations

import json
from collections.abc import Iterator

from engine.plan.errors import Finding
from engine.plan.optimizers import KNOWN
from engine.plan.packages import is_installed
from engine.plan.remedy import set_line
from engine.plan.settings import Settings
from engine.plan.trained_parts import rate_options

PRODIGY_LOWEST = 0.1
"""Under this Prodigy hardly learns: its step is d × learning_rate, and d, which starts at 0.0001, does not grow.
At 0.0003 it stays at its start for 1500 steps, where 1.0 brings it to 0.08."""

_LIKE_PRODIGY = ("prodigy", "dadapt")  # in the names of other classes that find the size of their steps by themselves


def check_learning(settings: Settings) -> Iterator[Finding]:
    """What is worth saying about the optimizer."""
    yield from _installed(settings)
    if settings.optimizer_type == "Prodigy":
        yield from _prodigys_rate(settings)
    elif settings.optimizer_type == "Adafactor":
        yield from _adafactor(settings)
    elif settings.optimizer_type in KNOWN:
        yield from _rate(settings)
    else:
        yield from _rate_of_another(settings)
    yield from _arguments(settings)


def _installed(settings: Settings) -> Iterator[Finding]:
    """Only whether the package is there: its modules are the engine's to import."""
    kind = settings.optimizer_type
    package = (KNOWN[kind].path if kind in KNOWN else kind).partition(".")[0]
    if is_installed(package):
        return
    if kind in KNOWN:
        message = f"optimizer_type {kind} needs the package {package}, which is not installed."
    else:
        message = f"optimizer_type {kind} needs the Python package {package}, which is not installed."
    yield Finding(
        "optimizer-not-installed",
        message,
        set_line("optimizer_type", '"AdamW"'),
        level="error",
        option="optimizer_type",
        value="AdamW",
        overridable=False,
    )


def _prodigys_rate(settings: Settings) -> Iterator[Finding]:
    for option, rates in rate_options(settings).items():
        if option == "learning_rate" and max(rates) == 0:
            yield _nothing_learnt(1.0, refused_by="Prodigy")
        elif min(rates) < PRODIGY_LOWEST:
            yield _far_off(
                "prodigy-learning-rate",
                f"With Prodigy and {option} = {min(rates):g} the LoRA learns almost nothing: Prodigy finds the size of "
                f"its steps by itself, and {option} only multiplies it.",
                option,
                1.0,
                stops=True,
            )
        elif max(rates) > 2:
            yield _far_off(
                "prodigy-learning-rate-high",
                f"With Prodigy {option} is a multiplier that stands at 1.0; {max(rates):g} makes every step too long.",
                option,
                1.0,
            )


def _rate(settings: Settings) -> Iterator[Finding]:
    kind = settings.optimizer_type
    known = KNOWN[kind]
    for option, rates in rate_options(settings).items():
        rate = max(rates)
        if rate > known.highest:
            left_over = rate >= known.left_over
            yield _far_off(
                f"{kind.lower()}-learning-rate",
                f"{option} = {rate:g} is far too high for {kind}"
                + (
                    ": it is Prodigy's, and the LoRA would be noise."
                    if left_over
                    else "; pictures will come out burnt."
                ),
                option,
                known.rate,
                stops=left_over,
            )
        elif rate == 0:
            yield _nothing_learnt(known.rate)


def _far_off(code: str, message: str, option: str, usual: float, *, stops: bool = False) -> Finding:
    """A rate that its option gives: learning_rate is mended to what is `usual`, a part's own is best left empty."""
    value, written = (usual, _plain(usual)) if option == "learning_rate" else ("", '""')
    return Finding(code, message, set_line(option, written), option=option, value=value, blocks_training=stops)


def _rate_of_another(settings: Settings) -> Iterator[Finding]:
    kind, rate = settings.optimizer_type, settings.learning_rate
    if rate == 0:
        yield _nothing_learnt(1e-4)
    elif rate >= 0.1 and not any(name in kind.lower() for name in _LIKE_PRODIGY):
        yield Finding(
            "learning-rate-left-over",
            f"learning_rate = {rate:g} is what Prodigy takes; most other optimizers, so perhaps {kind}, need about "
            "0.0001.",
            set_line("learning_rate", "0.0001"),
            option="learning_rate",
            value=1e-4,
        )


def _nothing_learnt(rate: float, refused_by: str = "") -> Finding:
    """`refused_by`: the optimizer, where it does not even start with a rate of 0."""
    return Finding(
        "learning-rate-zero",
        f"With learning_rate = 0 nothing is learnt{f', and {refused_by} refuses to start' if refused_by else ''}.",
        set_line("learning_rate", _plain(rate)),
        level="error" if refused_by else "warning",
        option="learning_rate",
        value=rate,
        blocks_training=True,
        overridable=not refused_by,
    )


def _adafactor(settings: Settings) -> Iterator[Finding]:
    """What sd-scripts warns of (`train_util.get_optimizer`), and its silent change."""
    if settings.finds_its_own_rate:
        kept = [a for a in settings.optimizer_args if _name(a) not in ("relative_step", "warmup_init")]
        mended = [*kept, "relative_step=False"]
        yield Finding(
            "adafactor-relative-step",
            "With relative_step, which Adafactor uses unless optimizer_args says relative_step=False, Adafactor finds "
            "its own rate: learning_rate and lr_scheduler are not used.",
            set_line("optimizer_args", json.dumps(mended, ensure_ascii=False), _typed(mended)),
            option="optimizer_args",
            value=mended,
        )
        return
    yield from _rate(settings)
    if settings.max_grad_norm:
        yield Finding(
            "adafactor-max-grad-norm",
            "Adafactor limits its steps by itself, so max_grad_norm is best 0 with it.",
            set_line("max_grad_norm", "0.0"),
            level="note",
            option="max_grad_norm",
            value=0.0,
        )


def _arguments(settings: Settings) -> Iterator[Finding]:
    known = KNOWN.get(settings.optimizer_type)
    if known is None:
        return
    wrong = [argument for argument in settings.optimizer_args if _name(argument) not in known.arguments]
    if wrong:
        right = [argument for argument in settings.optimizer_args if argument not in wrong]
        names = ", ".join(map(_name, wrong))
        yield Finding(
            "optimizer-args-unknown",
            f"{settings.optimizer_type} has no argument {names}.",
            set_line("optimizer_args", json.dumps(right, ensure_ascii=False), _typed(right)),
            level="error",
            option="optimizer_args",
            value=right,
            overridable=False,
        )


def _name(argument: str) -> str:
    return argument.partition("=")[0].strip()


def _typed(arguments: list[str]) -> str:
    """sd-scripts' form, unless a space inside an argument would tear it apart."""
    torn = any(argument.split() != [argument] for argument in arguments)
    return json.dumps(arguments, ensure_ascii=False) if torn else " ".join(arguments)


def _plain(rate: float) -> str:
    """`0.0001`, `0.00003`: as people write it."""
    text = f"{rate:.10f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
