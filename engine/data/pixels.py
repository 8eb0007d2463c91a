"""From an upright picture to the pixels the VAE sees: resized to cover its bucket, cut in the middle, scaled."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def fit(image: Image.Image, resized: tuple[int, int], bucket: tuple[int, int]) -> Image.Image:
    """Resize to `resized` (width, height), then cut `bucket` out of the middle.

    Shrinking averages areas and enlarging uses Lanczos, as sd-scripts does (`train_util.trim_and_resize_if_required`,
    `utils.resize_image`).
    """
    if image.size != resized:
        shrinking = image.width >= resized[0] and image.height >= resized[1]
        image = image.resize(resized, Image.Resampling.BOX if shrinking else Image.Resampling.LANCZOS)
    left, top = (image.width - bucket[0]) // 2, (image.height - bucket[1]) // 2
    return image.crop((left, top, left + bucket[0], top + bucket[1]))


def to_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) float32 in -1..1."""
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8, copy=True))
    return pixels.permute(2, 0, 1).float().div_(127.5).sub_(1.0)


def opacity(alpha: Image.Image) -> Tensor:
    """(H, W) float32 in 0..1 of an alpha channel, 1 where it is opaque."""
    return torch.from_numpy(np.array(alpha, dtype=np.uint8, copy=True)).float().div_(255.0)
