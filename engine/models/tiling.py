"""A VAE in tiles: where the memory is too small for a whole picture, it is encoded or decoded piece by piece.

Tiles overlap and are blended. Colours differ a little from those of the whole picture, since its normalisation sees
only a tile at a time; so nothing is done in tiles that fits as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffusers import AutoencoderKL

SHARES = (2, 4)
"""Of the side that the VAE was made for: tiles of 512 and then 256 pixels for SDXL's 1024."""
MULTIPLE = 32
"""Pixels. A quarter of a tile overlaps, and has to be a whole number of latent places, of 8 pixels each."""


def tile_sides(vae: AutoencoderKL) -> list[int]:
    """The sides of tiles in pixels, large ones first."""
    made_for = int(vae.config["sample_size"])
    sides = [max(MULTIPLE, made_for // share // MULTIPLE * MULTIPLE) for share in SHARES]
    return sorted(set(sides), reverse=True)


def next_tile(vae: AutoencoderKL, picture: int, tile: int | None) -> int | None:
    """The side to try after `tile` (None: as a whole) for a picture whose longer side is `picture`; None: there is none
    that is smaller."""
    return next((side for side in tile_sides(vae) if side < min(picture, tile or picture)), None)


@contextmanager
def in_tiles(vae: AutoencoderKL, tile: int | None) -> Iterator[None]:
    """Meanwhile `vae` works in tiles of `tile` pixels a side; None: as it is."""
    if tile is None:
        yield
        return
    before = vae.use_tiling, vae.tile_sample_min_size, vae.tile_latent_min_size
    vae.use_tiling, vae.tile_sample_min_size, vae.tile_latent_min_size = True, tile, tile // 8
    try:
        yield
    finally:
        vae.use_tiling, vae.tile_sample_min_size, vae.tile_latent_min_size = before
