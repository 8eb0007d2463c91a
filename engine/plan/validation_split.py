"""Which pictures are kept out of the training, to validate it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan.draws import draw


def kept_out(names: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """The names, of all that could be trained, that are validated instead: `share` (0..1) of them, to the nearest one.

    A function of the seed and the names: each has a number of its own, and those with the smallest are taken, so a
    picture more or less changes little. (sd-scripts shuffles each folder for itself: `train_util.split_train_val`.)
    Empty where nothing would be left to validate, or nothing to train (`validation_checks`).
    """
    count = round(len(names) * share)
    if not 0 < count < len(names):
        return frozenset()
    ranked = sorted(set(names), key=lambda name: (draw(seed, f"validation {name}", 0, 0), name))
    return frozenset(ranked[:count])
