"""Prompt lines as kohya's tools write them: ``a photo of a man --n blurry --w 1024 --h 1024 --d 42 --s 30 --l 7.5``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from engine.plan.errors import UserError, inert

_FLAG = re.compile(r"\s--(?=[A-Za-z])")
_KNOWN = {"w": "width", "h": "height", "d": "seed", "s": "steps", "l": "guidance", "n": "negative"}
MAX_STEPS = 1000
STEPS_AND_GUIDANCE = {"sdxl": (30, 7.0), "micro": (25, 3.0)}
"""For a prompt that does not say: what suits a model of that size (the small one burns at SDXL's guidance)."""


@dataclass(frozen=True)
class SamplePrompt:
    """A picture to make. width, height in px (multiples of 8); steps 1..1000; guidance 1 means no negative prompt."""

    prompt: str
    width: int
    height: int
    seed: int
    negative: str = ""
    steps: int = 30
    guidance: float = 7.5


def default_prompt(size: str, width: int, height: int, seed: int) -> SamplePrompt:
    """An empty prompt with what a base model of `size` ("sdxl" or "micro") needs."""
    steps, guidance = STEPS_AND_GUIDANCE[size]
    return SamplePrompt("", width, height, seed, steps=steps, guidance=guidance)


def parse(line: str, default: SamplePrompt) -> SamplePrompt:
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
            raise UserError(
                "bad-prompt-line",
                f'In the sample prompt "{inert(line)}" --{inert(name)} is not known.',
                "Known are --w --h (size), --d (seed), --s (steps), --l (guidance) and --n (negative prompt).",
            )
        try:
            values[field] = _value(field, text.strip())
        except ValueError as error:
            raise UserError(
                "bad-prompt-line",
                f'In the sample prompt "{inert(line)}" --{inert(name)} {inert(text.strip())} is not a usable value.',
                str(error),
            ) from None
    return replace(default, **values)  # type: ignore[arg-type]


def _value(field: str, text: str) -> object:
    if field == "negative":
        return text
    if field == "guidance":
        return float(text)
    number = int(text)
    if field in ("width", "height"):
        if number < 64:
            raise ValueError("Sizes are at least 64 px.")
        return number // 8 * 8
    if field == "steps":
        return max(1, min(MAX_STEPS, number))
    if number < 0:
        raise ValueError("Give a seed of 0 or more, so that the same picture can be made again.")
    return number
