"""Where the regularisation pictures of one class take the room of another's, and what evens that out.

All their folders are balanced together, in order (`steps.balance`): what one class has too many of, another loses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.plan.errors import Finding, plural
from engine.plan.regularisation import Need, use_of
from engine.plan.steps import balance

LEAST_SHARE = 0.5
"""Of what a class should have; one that is seen less than that is hardly held back."""


def uneven_classes(needs: Sequence[Need]) -> Finding | None:
    """A warning where a class goes nearly untrained while another is seen more often than its own pictures."""
    shared = [need for need in needs if need.shared is not None]
    short = [need for need in shared if sum(need.times) < LEAST_SHARE * need.target]
    over = [need for need in shared if sum(need.times) > need.target]
    if not short or not over:
        return None
    told = [f"{need.class_name} {_seen(need)} in place of {need.target:,}" for need in (*short, *over)]
    return Finding(
        "reg-uneven",
        "All regularisation folders are taken together, in order, until there are as many as your own pictures. "
        f"So pictures of each class are seen in an epoch: {', '.join(told)}.",
        _remedy(shared),
    )


def _seen(need: Need) -> str:
    seen = sum(need.times)
    return plural(seen, "time") if seen else "never"


def _remedy(needs: Sequence[Need]) -> str:
    """What gives each class its own number, and how often each picture is seen then."""
    do, then = [], list[int]()
    for need in needs:
        alone = balance(need.there, need.target)
        kept = [repeats for repeats, times in zip(need.there, alone, strict=True) if times]
        lacking = max(0, need.target - sum(kept))
        out = Counter(home for home, times in zip(need.homes, alone, strict=True) if not times)
        for folder, count in out.items():
            them = "it" if count == 1 else "them"
            do.append(f"leave {count:,} of {folder} out (step 3, v) or move {them} away")
        if lacking:
            do.append(f"have {lacking:,} more of {need.class_name}")
        then += [*kept, *[1] * lacking]
    use = use_of(balance(then, sum(need.target for need in needs))).replace("each used", "each is used")
    said = f"{', and '.join(do)}: then {use}."
    return said[0].upper() + said[1:]
