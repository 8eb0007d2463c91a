"""How sentences are generated, in the terms of transformers' `generate`, from the options."""

from __future__ import annotations

from typing import Any

from engine.plan.captioning import CaptioningOptions


def generation(options: CaptioningOptions, room: int | None = None) -> dict[str, Any]:
    """Arguments of `generate`. room: tokens that a model has for the caption, where that is a fixed number.

    Lengths are of the new tokens alone: transformers' `min_length` also counts the beginning, as kohya does. Beams
    without sampling, so that the same picture is always told the same.
    """
    longest = options.max_length if room is None else max(1, min(options.max_length, room))
    return {
        "num_beams": options.num_beams,
        "min_new_tokens": min(options.min_length, longest),
        "max_new_tokens": longest,
        "no_repeat_ngram_size": options.no_repeat_ngram_size,
        "repetition_penalty": float(options.repetition_penalty),
        "do_sample": False,
    }
