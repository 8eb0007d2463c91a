"""The ways in which a training can need less memory than its settings ask for, from the one that costs least.

None changes which pictures a step learns from, nor how many steps there are. A lower limit of the buckets would, so it
is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.data.latent_source import LatentsInStep
from engine.data.samples import Samples
from engine.data.text_source import EncodedInStep
from engine.models.sdxl import SDXL
from engine.models.tiling import tile_sides
from engine.plan.settings import Settings
from engine.train.oom import CHECKPOINTING, OFFLOAD, VAE_TILE, Way
from engine.train.parts import checkpoint_gradients


def ways_out(settings: Settings, model: SDXL, samples: Samples, validation: Samples | None) -> Iterator[Way]:
    """Those that are left with these settings, besides splitting the batches, which is the first."""
    if not settings.gradient_checkpointing:
        words = "gradient checkpointing is on; the result is the same, and a step takes about a third longer"
        yield Way(CHECKPOINTING, True, words, lambda: checkpoint_gradients(settings, model))
    every = [samples, *([validation] if validation is not None else [])]
    texts = samples.texts if isinstance(samples.texts, EncodedInStep) else None
    in_step = [each.latents.latents for each in every if isinstance(each.latents, LatentsInStep)]
    resident = [*(["the text encoders"] if texts else []), *(["the VAE"] if in_step else [])]
    if resident:

        def offload() -> None:
            if texts is not None:
                texts.remember()
            for latents in in_step:
                latents.leaves = True
                model.vae.to("cpu")

        words = f"{' and '.join(resident)} are on the card only while they work; the result is the same"
        yield Way(OFFLOAD, True, words.replace("VAE are", "VAE is") if not texts else words, offload, standing=True)
    for side in tile_sides(model.vae) if in_step else ():

        def tile(side: int = side) -> None:
            for latents in in_step:
                latents.tile = side

        yield Way(
            VAE_TILE, side, f"pictures are encoded in tiles of {side} pixels, which changes colours a little", tile
        )
