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

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from engine.data import pixels
from engine.models.reading import Reading
from engine.models.sdxl import SDXL, USUAL
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


class Latents:
    """Cached VAE latents of pictures. `mean` and `std` of an entry: (4, H/8, W/8), not yet scaled by 0.13025."""

    def __init__(self, folder: Path, model: SDXL, device: torch.device) -> None:
        self.folder, self.model, self.device = folder / "latents", model, device

    def load(self, wanted: Sequence[Picture], progress: Progress) -> list[tuple[Tensor, Tensor]]:
        """Mean and std of each picture in order, encoding what is missing."""
        entries = []
        for number, picture in enumerate(wanted, start=1):
            entries.append(self._entry(picture))
            progress(number, len(wanted))
        return entries

    def _entry(self, picture: Picture) -> tuple[Tensor, Tensor]:
        key = _key(
            sha256_file(picture.path), picture.resized, picture.bucket, self.model.vae_identity, self.model.vae.dtype
        )
        path = self.folder / f"{key}.safetensors"
        entry = _read(path)
        if entry is None:
            entry = self._encode(picture)
            _write(path, entry)
        return entry["mean"], torch.exp(0.5 * entry["logvar"].clamp(-30.0, 20.0))

    @torch.inference_mode()
    def _encode(self, picture: Picture) -> dict[str, Tensor]:
        image = pixels.fit(pictures.load(picture.path), picture.resized, picture.bucket)
        vae = self.model.vae.to(self.device)
        batch = pixels.to_tensor(image)[None].to(self.device, vae.dtype)
        posterior = vae.encode(batch).latent_dist
        entry = {"mean": posterior.mean[0].float().cpu(), "logvar": posterior.logvar[0].float().cpu()}
        if not all(bool(torch.isfinite(t).all()) for t in entry.values()):
            raise UserError(
                "broken-latent",
                f"The VAE turned {inert(picture.path)} into values that are not numbers.",
                "Leave this picture out, or use a base model whose VAE is whole.",
            )
        return entry


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
            found[caption] = self._encode(caption)
            progress(len(found), len(distinct))
        return found

    def _path(self, caption: str) -> Path:
        model = self.model
        key = _key(caption, model.text_identity, model.text_encoder.dtype, *self.reading.key(caption))
        return self.folder / f"{key}.safetensors"

    @torch.inference_mode()
    def _encode(self, caption: str) -> tuple[Tensor, Tensor]:
        self.model.text_encoder.to(self.device)
        self.model.text_encoder_2.to(self.device)
        contexts, pooleds = self.model.encode_text([caption], self.reading)
        context, pooled = contexts[0].float().cpu(), pooleds[0].float().cpu()
        _write(self._path(caption), {"context": context, "pooled": pooled})
        return context, pooled
