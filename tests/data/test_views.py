"""Latents of mirrored pictures and of pictures with a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from engine.data.cache import Latents
from engine.data.latent_source import LatentsAhead, LatentsInStep
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.dataset import Picture
from tests.micro_model import base_of

CPU = torch.device("cpu")


def quietly(done: int, total: int) -> None:
    """Nobody looks at the progress."""


@pytest.fixture(scope="module")
def model(micro_folder: Path) -> SDXL:
    return load(base_of(micro_folder))


def picture(path: Path, size: tuple[int, int] = (64, 64), alpha: np.ndarray | None = None) -> Picture:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    image.save(path)
    return Picture(path, "train", "1_a", *size, size, (64, 64), 1, "a", None, False)


def test_a_mirrored_picture_has_the_latent_of_its_mirror_image_and_an_entry_of_its_own(
    model: SDXL, tmp_path: Path
) -> None:
    plain = picture(tmp_path / "a.png")
    ImageOps.mirror(Image.open(plain.path)).save(tmp_path / "b.png")
    other = Picture(tmp_path / "b.png", "train", "1_a", 64, 64, (64, 64), (64, 64), 1, "a", None, False)
    latents = Latents(tmp_path / "cache", model, CPU)
    (upright,), (mirrored,) = latents.load([plain], quietly), latents.load([plain], quietly, mirrored=True)
    (expected,) = latents.load([other], quietly)
    assert torch.equal(mirrored.mean, expected.mean)
    assert not torch.equal(mirrored.mean, upright.mean)
    assert len(list((tmp_path / "cache" / "latents").iterdir())) == 3


def test_a_mask_is_the_mean_opacity_of_8_by_8_pixels_cut_as_the_picture_is(model: SDXL, tmp_path: Path) -> None:
    alpha = np.zeros((64, 96), dtype=np.uint8)
    alpha[:, 48:] = 255  # the right half of the picture; 16 columns are cut off on either side
    alpha[:8, 16:20] = 255
    one = picture(tmp_path / "a.png", (96, 64), alpha)
    latents = Latents(tmp_path / "cache", model, CPU, masks=True)
    (latent,) = latents.load([one], quietly)
    expected = torch.zeros(8, 8)
    expected[:, 4:] = 1.0
    expected[0, 0] = 0.5
    assert latent.mask is not None
    assert torch.equal(latent.mask, expected)
    (mirrored,) = latents.load([one], quietly, mirrored=True)
    assert mirrored.mask is not None
    assert torch.equal(mirrored.mask, expected.flip(1))
    (without,) = Latents(tmp_path / "cache", model, CPU).load([one], quietly)
    assert without.mask is None
    assert torch.equal(without.mean, latent.mean)  # colours under transparent places are left as they are


def test_without_an_alpha_channel_there_is_no_mask(model: SDXL, tmp_path: Path) -> None:
    (latent,) = Latents(tmp_path / "cache", model, CPU, masks=True).load([picture(tmp_path / "a.png")], quietly)
    assert latent.mask is None


def test_encoded_ahead_and_anew_are_equal_to_the_bit(model: SDXL, tmp_path: Path) -> None:
    alpha = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    pictures = [picture(tmp_path / "a.png", alpha=alpha), picture(tmp_path / "b.png", (96, 64))]
    latents = Latents(tmp_path / "cache", model, CPU, masks=True)
    ahead = LatentsAhead(latents.load(pictures, quietly), latents.load(pictures, quietly, mirrored=True))
    anew = LatentsInStep(Latents(tmp_path / "unused", model, CPU, masks=True), pictures)
    for index in range(2):
        for mirrored in (False, True):
            one, other = ahead.latent(index, mirrored), anew.latent(index, mirrored)
            assert torch.equal(one.mean, other.mean)
            assert torch.equal(one.std, other.std)
            assert (one.mask is None) == (other.mask is None) == (index == 1)
            if one.mask is not None and other.mask is not None:
                assert torch.equal(one.mask, other.mask)
    assert not (tmp_path / "unused").exists()
