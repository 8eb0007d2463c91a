"""The ways in which a training can need less memory than its settings ask for, from the one that costs least.

None changes which pictures a step learns from, nor how many steps there are; the last one, which has to be allowed,
shows them smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from engine.data.latent_source import LatentsInStep
from engine.data.samples import Samples
from engine.data.text_source import EncodedInStep
from engine.models.sdxl import SDXL
from engine.models.tiling import tile_sides
from engine.plan.buckets import covering, smaller
from engine.plan.settings import Settings
from engine.train.encoding import Again
from engine.train.oom import BUCKET_LIMIT, CHECKPOINTING, OFFLOAD, VAE_TILE, Way
from engine.train.parts import checkpoint_gradients

SMALLER = (3 / 4, 1 / 2)
"""Of the resolution: what pictures are trained at where that is allowed."""


def ways_out(
    settings: Settings, model: SDXL, samples: Samples, validation: Samples | None, again: Again
) -> Iterator[Way]:
    """Those that are left with these settings, besides splitting the batches, which is the first. `again` encodes
    pictures in other sizes."""
    if not settings.gradient_checkpointing:
        words = "gradient checkpointing is on; the result is the same, and a step takes about a third longer"
        yield Way(CHECKPOINTING, True, words, lambda: checkpoint_gradients(settings, model))
    every = [samples, *([validation] if validation is not None else [])]
    texts = samples.texts if isinstance(samples.texts, EncodedInStep) else None
    in_step = [each.latents.latents for each in every if isinstance(each.latents, LatentsInStep)]
    if texts or in_step:

        def offload() -> None:
            if texts is not None:
                texts.remember()
            for latents in in_step:
                latents.leaves = True
                model.vae.to("cpu")

        words, short = _resident(texts is not None, bool(in_step))
        yield Way(OFFLOAD, True, words, offload, standing=True, short=short)
    for side in tile_sides(model.vae) if in_step else ():

        def tile(side: int = side) -> None:
            for latents in in_step:
                latents.tile = side

        yield Way(
            VAE_TILE, side, f"pictures are encoded in tiles of {side} pixels, which changes colours a little", tile
        )
    if settings.allow_smaller_buckets:
        yield from _smaller(settings, samples, again)


def _resident(texts: bool, vae: bool) -> tuple[str, str]:
    """What is done from now on with what lies on the card, in whole words and in short. One of both is there."""
    both = [*(["text encoders"] if texts else []), *(["VAE"] if vae else [])]
    are, they, their = ("are", "they work", "their") if texts else ("is", "it works", "its")
    words = (
        f"{' and '.join(f'the {each}' for each in both)} {are} on the card only while {they}; the result is the same"
    )
    return words, f"the {' and '.join(both)} off the card between {their} uses"


def _smaller(settings: Settings, samples: Samples, again: Again) -> Iterator[Way]:
    """What is validated stays as it is, so that its loss can be compared; without gradients it needs far less."""
    step, area = settings.bucket_reso_steps, settings.size[0] * settings.size[1]
    sides = {int(math.sqrt(area) * share) // step * step for share in SMALLER}
    for side in sorted(sides - {0}, reverse=True):

        def show(side: int = side) -> None:
            others = []
            for picture in samples.pictures:
                bucket = smaller(picture.bucket, side, step)
                resized = covering((picture.width, picture.height), bucket)
                others.append(picture if bucket == picture.bucket else replace(picture, bucket=bucket, resized=resized))
            samples.show(others, again(others))

        words = f"pictures are trained with about {side} × {side} pixels at most, as it was allowed"
        yield Way(BUCKET_LIMIT, side, words, show)
