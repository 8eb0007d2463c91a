"""Prompt lines as kohya's tools write them: ``a man --n blurry --w 1024 --h 768 --d 42 --s 30 --l 7 --ss euler_a``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TypeVar

from engine.plan.draws import draw
from engine.plan.errors import UserError, inert
from engine.plan.samplers import DEFAULT, find

_Number = TypeVar("_Number", int, float)
_FLAG = re.compile(r"\s--(?=[A-Za-z])")
_KNOWN = {
    "w": "width", "h": "height", "d": "seed", "s": "steps", "l": "guidance", "n": "negative", "ss": "sampler",
}  # fmt: skip
_OF_OTHER_MODELS = {
    "g": ("the guidance of distilled models such as Flux", "SDXL has --l for its guidance."),
    "cn": ("the picture that a ControlNet follows", "Leave it out: samples here are drawn from words alone."),
    "fs": ("the flow shift of flow-matching models", "Leave it out; --ss chooses how SDXL gets from noise to picture."),
    "ctr": ("where Lumina's guidance ends", "Leave it out; SDXL has --l for its guidance."),
    "rcfg": ("the limit of Lumina's guidance", "Leave it out; a lower --l keeps SDXL from burning."),
}
"""sd-scripts' flags that mean nothing to SDXL: what each is, and what there is instead."""
MAX_STEPS, MAX_GUIDANCE, MAX_SIDE = 1000, 100, 8192
ANY_SEED = -1
"""The seed of a prompt with `--d -1`: another one each time it is drawn, see `seeded`."""
STEPS_AND_GUIDANCE = {"sdxl": (30, 7.0), "micro": (25, 3.0)}
"""For a prompt that does not say: what suits a model of that size (the small one burns at SDXL's guidance)."""


@dataclass(frozen=True)
class SamplePrompt:
    """A picture to make. width, height in px (multiples of 8); steps 1..1000; guidance 1 means no negative prompt;
    sampler: a name of `samplers`."""

    prompt: str
    width: int
    height: int
    seed: int
    negative: str = ""
    steps: int = 30
    guidance: float = 7.5
    sampler: str = DEFAULT


_ANY = SamplePrompt("", 1024, 1024, 42)
UNSAID = -2
"""As the default's seed it tells the lines that say none: no line can ask for it."""


def default_prompt(size: str, width: int, height: int, seed: int, sampler: str = DEFAULT) -> SamplePrompt:
    """An empty prompt with what a base model of `size` ("sdxl" or "micro") needs; sides down to multiples of 8 px."""
    steps, guidance = STEPS_AND_GUIDANCE[size]
    return SamplePrompt("", width // 8 * 8, height // 8 * 8, seed, steps=steps, guidance=guidance, sampler=sampler)


def has_own_seed(line: str) -> bool:
    """Whether the line says a seed, or asks for any. Raises UserError as `parse` does."""
    return parse(line, replace(_ANY, seed=UNSAID)).seed != UNSAID


def seeded(asked: SamplePrompt, seed: int, step: int, position: int, purpose: str = "") -> SamplePrompt:
    """The prompt with a seed of its own, under 2³². For ANY_SEED it follows from these numbers alone, so that a
    training that goes on after a crash draws what it would have drawn."""
    if asked.seed != ANY_SEED:
        return asked
    return replace(asked, seed=draw(seed, f"sample seed {purpose}", step, position) % 2**32)


def with_seed(asked: SamplePrompt, seed: int) -> SamplePrompt:
    """The same picture from another starting noise. Raises UserError for a seed below 0 or over 63 bits."""
    if not 0 <= seed < 2**63:
        raise UserError("bad-prompt-line", f"The seed {seed} is not usable.", f"Give one from 0 to {2**63 - 1}.")
    return replace(asked, seed=seed)


def guide_prompt(trigger: str, class_name: str) -> str:
    """The guide's "TRIGGER, a photo of a CLASS", for who gives no prompt of their own."""
    return f"{trigger}, a photo of a {class_name or 'person'}".removeprefix(", ")


def parse(line: str, default: SamplePrompt = _ANY) -> SamplePrompt:
    """The picture that `line` asks for; what it does not say comes from `default`.

    sd-scripts drops flags it does not know (`line_to_prompt_dict`); here they are named, since a mistyped one would
    silently change nothing. Raises UserError.
    """
    prompt, *flags = _FLAG.split(" " + line.strip())
    values: dict[str, object] = {"prompt": prompt.strip()}
    for flag in flags:
        name, _, text = flag.partition(" ")
        field = _KNOWN.get(name.lower())
        if field is None:
            raise _not_a_flag(line, name)
        try:
            values[field] = _value(field, text.strip())
        except ValueError as error:
            raise UserError(
                "bad-prompt-line",
                f'In the sample prompt "{inert(line)}" --{inert(name)} {inert(text.strip())} is not a usable value.',
                str(error),
            ) from None
    return replace(default, **values)  # type: ignore[arg-type]


def _not_a_flag(line: str, name: str) -> UserError:
    if name.lower() in _OF_OTHER_MODELS:
        what, instead = _OF_OTHER_MODELS[name.lower()]
        return UserError("bad-prompt-line", f'In the sample prompt "{inert(line)}" --{inert(name)} is {what}.', instead)
    return UserError(
        "bad-prompt-line",
        f'In the sample prompt "{inert(line)}" --{inert(name)} is not known.',
        "Known are --w --h (size), --d (seed), --s (steps), --l (guidance), --ss (sampler) and --n (negative prompt).",
    )


def _value(field: str, text: str) -> object:
    if field == "negative":
        return text
    if field == "sampler":
        try:
            return find(text).name
        except UserError as error:
            raise ValueError(error.hint) from None
    if field == "seed" and text.lower() in ("-1", "random"):
        return ANY_SEED
    if field == "guidance":
        guidance = _number(float, text)
        if not 0 <= guidance <= MAX_GUIDANCE:  # false for NaN as well
            raise ValueError(f"Give a guidance from 0 to {MAX_GUIDANCE}; 1 is none, and 7 is usual.")
        return guidance
    number = _number(int, text)
    if field in ("width", "height"):
        if not 64 <= number <= MAX_SIDE:
            raise ValueError(f"Sizes are from 64 to {MAX_SIDE} px.")
        return number // 8 * 8
    if field == "steps":
        return max(1, min(MAX_STEPS, number))
    if not 0 <= number < 2**63:
        raise ValueError("Give a seed from 0 to 9223372036854775807, or -1 for another one each time.")
    return number


def _number(kind: type[_Number], text: str) -> _Number:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"Give a {'whole ' if kind is int else ''}number after it.") from None
