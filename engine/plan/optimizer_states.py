"""What an optimizer keeps between two steps: of those known by name, and of others by the names of their classes.

Nothing is imported: `bitsandbytes.optim.PagedAdamW8bit` is known by its last word alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PAGED = "Paged"
"""bitsandbytes' classes whose states the driver may move to the machine's memory begin so."""
BITS_8, BITS_32 = "8bit", "32bit"

_AVERAGES = {
    "Adam": 2, "AdamW": 2, "LAMB": 2, "NAdam": 2, "RAdam": 2, "Adamax": 2, "Adadelta": 2, "Rprop": 2, "AdEMAMix": 3,
    "Lion": 1, "LARS": 1, "RMSprop": 1, "Adagrad": 1, "ASGD": 1,
}  # fmt: skip
"""Numbers that a class keeps for each element: those of torch.optim and of bitsandbytes."""


@dataclass(frozen=True)
class Sizes:
    """Of what an optimizer works on: elements of all downs and ups, and of their `rows` and `columns` in all."""

    downs: int
    ups: int
    rows_and_columns: int
    whole: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "whole", self.downs + self.ups)


def state_elements(optimizer_type: str, arguments: Mapping[str, object], sizes: Sizes) -> int:
    """How much an optimizer keeps between two steps, in elements of four bytes. Of one that is not known: as AdamW."""
    kind, in_8_bits = _kind(optimizer_type)
    match kind:
        case "Prodigy":
            # Two averages, and for its d the sum of gradients and the start, of which only each slice_p-th is kept;
            # the start of the ups is zero and takes nothing.
            sliced = arguments.get("slice_p", 1)
            part = sliced if isinstance(sliced, int) and sliced > 0 else 1
            return 2 * sizes.whole + sizes.whole // part + sizes.downs // part
        case "Adafactor":
            return sizes.rows_and_columns + (sizes.whole if arguments.get("beta1") is not None else 0)
    kept = _averages(kind, arguments)
    if in_8_bits:
        return kept * (sizes.whole // 4 + sizes.whole // 256)  # a byte each, with a scale for 256 of them
    return kept * sizes.whole


def counted_as(optimizer_type: str) -> str:
    """A sentence on a class that is counted as what it is not; "" for all others."""
    kind, _ = _kind(optimizer_type)
    name = optimizer_type.rpartition(".")[2]
    if kind not in ("Prodigy", "Adafactor", "SGD", *_AVERAGES):
        return f"What {name} keeps is not known: it is counted as AdamW."
    if name.startswith(PAGED):
        return f"{name} may keep its states in the machine's memory; they are counted as on the GPU."
    return ""


def _kind(optimizer_type: str) -> tuple[str, bool]:
    """(the class's name without what it says of paging and bits, whether it keeps 8 bits)."""
    name = optimizer_type.rpartition(".")[2].removeprefix(PAGED)
    return name.removesuffix(BITS_8).removesuffix(BITS_32), name.endswith(BITS_8)


def _averages(kind: str, arguments: Mapping[str, object]) -> int:
    moves = bool(arguments.get("momentum"))
    if kind == "SGD":
        return int(moves)
    kept = _AVERAGES.get(kind, _AVERAGES["AdamW"])
    if kind == "RMSprop":
        return kept + moves + bool(arguments.get("centered"))
    return kept + bool(arguments.get("amsgrad"))
