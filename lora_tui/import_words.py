"""What became of a file of settings, in words: what is not carried over, by its reason, the weightiest first."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan.errors import plural
from engine.plan.kohya.outcome import WHY, LeftOut, Outcome, Why

WEIGHTY: tuple[Why, ...] = ("unsupported", "differs", "bad-value", "unknown")
"""Reasons that are told key by key: something that the file asks for is not done."""
LIGHT: tuple[Why, ...] = ("project", "always", "inert", "model", "program", "fact", "unset")
"""Reasons under which the keys stand in one sentence."""


def weighty(outcome: Outcome) -> list[LeftOut]:
    """What the file asks for and is not done."""
    return [line for why in WEIGHTY for line in outcome.left_out if line.why == why]


def reasons(outcome: Outcome) -> list[str]:
    """All else that is not carried over, in lines, with the reason for each key: once for all keys that share it."""
    lines = []
    for why in LIGHT:
        shared: dict[str, dict[str, None]] = {}
        for left in outcome.left_out:
            if left.why == why:
                shared.setdefault(left.reason, {})[left.key] = None
        if len(shared) == 1:
            lines += [listed(f"{WHY[why]} ({reason})", list(keys)) for reason, keys in shared.items()]
        elif shared:
            lines += [f"{WHY[why]}:", *(f"  {', '.join(keys)}: {reason}" for reason, keys in shared.items())]
    return lines


def notes(outcome: Outcome) -> dict[str, str]:
    """By option, how its value differs from what stands in the file, such as that the file does not say it."""
    return {line.option: line.note for line in outcome.carried if line.note}


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
    carried = f"{plural(keys, 'key is', 'keys are')} carried over"
    return f"It is {outcome.kind}: {carried}, {plural(left, 'is', 'are')} not."
