"""Latents and text embeddings, computed once and kept by content.

An entry's name is a hash over everything its value depends on: the picture's bytes (or the caption), its size and
bucket, the model's own weights. So a changed picture of the same name, size and time is encoded anew, two runs share
entries, and deleting the folder costs only time. Latents are kept as mean and log-variance, so that a cached picture is
still sampled anew in every step. All values are fp32. An interrupted caching goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn.functional import interpolate

from engine.data import pixels
from engine.data.ahead import ahead
from engine.device import give_back
from engine.models.reading import Reading
from engine.models.sdxl import SDXL, USUAL
from engine.models.tiling import in_tiles, next_tile
from engine.out_of_memory import is_out_of_memory
from engine.plan import pictures
from engine.plan.dataset import Picture
from engine.plan.errors import UserError, inert
from engine.plan.files import atomic_write, sha256_file

LAYOUT = "1"  # change it when what is stored, or how it is computed, changes
Progress = Callable[[int, int], None]


def _key(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, (LAYOUT, *parts))).encode()).hexdigest()


def _read(path: Path) -> dict[str, Tensor] | None:
    """An entry, or None when it is absent or was cut off by a power failure."""
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        return None  # what cannot be read is made again; if it cannot be written either, that is said then


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, save({name: t.detach().float().cpu().contiguous() for name, t in tensors.items()}))


class Latent(NamedTuple):
    """One picture through the VAE: `mean` and `std` (4, H/8, W/8), not yet scaled by 0.13025. `mask` (H/8, W/8) 0..1:
    how much each place counts; None where all count alike."""

    mean: Tensor
    std: Tensor
    mask: Tensor | None = None


class Pixels(NamedTuple):
    """A picture as the VAE is given it: `values` (3, H, W) in -1..1, and `mask` (H, W) in 0..1 where it has one; `key`:
    all that its entry depends on."""

    path: Path
    values: Tensor
    mask: Tensor | None
    key: tuple[object, ...] = ()

    @property
    def area(self) -> int:
        return self.values[0].numel()


class Latents:
    """Latents of pictures, cached or encoded anew; with `masks` also what their alpha channels say. `workers` threads
    read pictures while others are encoded, one at a time, so that their number changes nothing.

    `tile`: the side of the tiles, in pixels, in which pictures that are `large` (pixels in all) or larger are encoded;
    None: whole. `leaves`: the VAE leaves the device after each picture. `told` hears of a tile that memory asked for.
    """

    def __init__(
        self,
        folder: Path,
        model: SDXL,
        device: torch.device,
        masks: bool = False,
        workers: int = 0,
        told: Callable[[int], None] = lambda _tile: None,
    ) -> None:
        self.folder, self.model, self.device = folder / "latents", model, device
        self.masks, self.workers, self.told = masks, workers, told
        self.tile: int | None = None
        self.large, self.leaves = 0, False

    def load(self, wanted: Sequence[Picture], progress: Progress, mirrored: bool = False) -> list[Latent]:
        """Each picture in order, encoding what is missing, in tiles where a whole one does not fit; `mirrored`: left
        and right exchanged before that. Raises UserError "out-of-memory"."""
        entries = []
        prepared = ahead(lambda picture: self._prepared(picture, mirrored), wanted, self.workers)
        for number, found in enumerate(prepared, start=1):
            entries.append(_latent(found if isinstance(found, dict) else self._kept(found)))
            progress(number, len(wanted))
        return entries

    def encode(self, picture: Picture, mirrored: bool = False) -> Latent:
        """The same, encoded now and not kept. Where it does not fit, whoever asks has to make room."""
        return _latent(self._encode(self._pixels(picture, mirrored)))

    def _prepared(self, picture: Picture, mirrored: bool) -> dict[str, Tensor] | Pixels:
        """The picture's entry, or what it has to be made from. May run in any thread."""
        also = [word for word, on in (("mirrored", mirrored), ("mask", self.masks)) if on]
        model = self.model
        key = (sha256_file(picture.path), picture.resized, picture.bucket, model.vae_identity, model.vae.dtype, *also)
        return _read(self._place(key, None)) or self._pixels(picture, mirrored, key)

    def _place(self, key: tuple[object, ...], tile: int | None) -> Path:
        """Where an entry lies. One that was made in tiles is never taken for one that was not."""
        return self.folder / f"{_key(*key, *(('tiles', tile) if tile else ()))}.safetensors"

    def _kept(self, read: Pixels) -> dict[str, Tensor]:
        """The picture's entry: a copy of it may have been encoded meanwhile, or it is made and kept now."""
        while True:
            path = self._place(read.key, self._tile_for(read))
            if (entry := _read(path)) is not None:
                return entry
            try:
                entry = self._encode(read)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            if entry is not None:
                _write(path, entry)
                return entry
            give_back(self.device)  # outside of the handler, whose error holds on to what was computed
            self._tile_smaller(read)

    def _tile_for(self, read: Pixels) -> int | None:
        return self.tile if read.area >= self.large else None

    def _tile_smaller(self, read: Pixels) -> None:
        tile = next_tile(self.model.vae, max(read.values.shape[1:]), self._tile_for(read))
        if tile is None:
            raise UserError(
                "out-of-memory",
                f"There is too little free memory to encode {inert(read.path.name)}, even piece by piece.",
                "Close other programs that use the graphics card, or set a lower resolution.",
            )
        self.large = read.area if self.tile is None else min(self.large, read.area)
        self.tile = tile
        self.told(tile)

    def _pixels(self, picture: Picture, mirrored: bool, key: tuple[object, ...] = ()) -> Pixels:
        image, alpha = pictures.load_with_alpha(picture.path) if self.masks else (pictures.load(picture.path), None)
        mask = None if alpha is None else pixels.opacity(self._placed(alpha, picture, mirrored))
        return Pixels(picture.path, pixels.to_tensor(self._placed(image, picture, mirrored)), mask, key)

    @torch.inference_mode()
    def _encode(self, read: Pixels) -> dict[str, Tensor]:
        vae = self.model.vae.to(self.device)
        with in_tiles(vae, self._tile_for(read)):
            posterior = vae.encode(read.values[None].to(self.device, vae.dtype)).latent_dist
        if self.leaves:
            vae.to("cpu")
        entry = {"mean": posterior.mean[0].float().cpu(), "logvar": posterior.logvar[0].float().cpu()}
        if not all(bool(torch.isfinite(t).all()) for t in entry.values()):
            raise UserError(
                "broken-latent",
                f"The VAE turned {inert(read.path)} into values that are not numbers.",
                "Leave this picture out, or use a base model whose VAE is whole.",
            )
        if read.mask is not None:
            entry["mask"] = interpolate(read.mask[None, None], size=entry["mean"].shape[1:], mode="area")[0, 0]
        return entry

    def _placed(self, image: Image.Image, picture: Picture, mirrored: bool) -> Image.Image:
        placed = pixels.fit(image, picture.resized, picture.bucket)
        return ImageOps.mirror(placed) if mirrored else placed


def _latent(entry: dict[str, Tensor]) -> Latent:
    return Latent(entry["mean"], torch.exp(0.5 * entry["logvar"].clamp(-30.0, 20.0)), entry.get("mask"))


class Texts:
    """Cached text-encoder outputs. An entry: hidden states (77, 2048) and pooled output (1280,); more than 77 where
    `reading` has texts of more than one chunk."""

    def __init__(self, folder: Path, model: SDXL, device: torch.device, reading: Reading = USUAL) -> None:
        self.folder, self.model, self.device, self.reading = folder / "texts", model, device, reading

    def load(self, captions: Sequence[str], progress: Progress) -> dict[str, tuple[Tensor, Tensor]]:
        """Encodings by caption; each distinct caption is encoded once."""
        distinct = list(dict.fromkeys(captions))
        found: dict[str, tuple[Tensor, Tensor]] = {}
        missing = []
        for caption in distinct:
            entry = _read(self._path(caption))
            if entry is None:
                missing.append(caption)
            else:
                found[caption] = entry["context"], entry["pooled"]
        progress(len(found), len(distinct))
        for caption in missing:  # one at a time: the last bits of a batch depend on which captions are in it
            found[caption] = self._fitted(caption)
            progress(len(found), len(distinct))
        return found

    def _fitted(self, caption: str) -> tuple[Tensor, Tensor]:
        """`_encode`, tried once more after freeing what can be freed. Raises UserError "out-of-memory"."""
        for _ in range(2):
            try:
                return self._encode(caption)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            give_back(self.device)
        raise UserError(
            "out-of-memory",
            "There is too little free memory for the text encoders.",
            "Close other programs that use the graphics card.",
        )

    def _path(self, caption: str) -> Path:
        model = self.model
        key = _key(caption, model.text_identity, model.text_encoder.dtype, *self.reading.key(caption))
        return self.folder / f"{key}.safetensors"

    @torch.inference_mode()
    def _encode(self, caption: str) -> tuple[Tensor, Tensor]:
        self.model.text_encoders_to(self.device)
        contexts, pooleds = self.model.encode_text([caption], self.reading)
        context, pooled = contexts[0].float().cpu(), pooleds[0].float().cpu()
        _write(self._path(caption), {"context": context, "pooled": pooled})
        return context, pooled
