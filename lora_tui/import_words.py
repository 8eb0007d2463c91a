"""What became of a file of settings, in words: what is not carried over, by its reason, the weightiest first."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan.kohya.outcome import WHY, LeftOut, Outcome, Why

WEIGHTY: tuple[Why, ...] = ("unsupported", "differs", "bad-value", "unknown")
"""Reasons that are told key by key: something that the file asks for is not done."""
LIGHT: tuple[Why, ...] = ("project", "always", "inert", "model", "program", "fact", "unset")
"""Reasons under which the keys stand in one sentence."""


def weighty(outcome: Outcome) -> list[LeftOut]:
    """What the file asks for and is not done."""
    return [line for why in WEIGHTY for line in outcome.left_out if line.why == why]


def light(outcome: Outcome) -> list[tuple[str, list[str]]]:
    """(reason, keys) of all else that is not carried over."""
    grouped = [(WHY[why], [line.key for line in outcome.left_out if line.why == why]) for why in LIGHT]
    return [(reason, list(dict.fromkeys(keys))) for reason, keys in grouped if keys]


def sentence(line: LeftOut) -> str:
    """A key that is not carried over, with what stood there and why."""
    given = f" = {line.given}" if line.given else ""
    return f"{line.key}{given}: {line.reason}"


def listed(reason: str, keys: Sequence[str]) -> str:
    """The keys that one reason holds for."""
    return f"{reason}: {', '.join(keys)}"


def summary(outcome: Outcome) -> str:
    """What the file is and how much of it is used, in one sentence."""
    keys = len({line.key for line in outcome.carried if line.key})
    left = len(dict.fromkeys(line.key for line in outcome.left_out))
    return f"It is {outcome.kind}: {keys} keys are carried over, {left} are not."
