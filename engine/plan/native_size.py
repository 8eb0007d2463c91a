"""How large the pictures are that a base model was made for."""

from __future__ import annotations

from collections.abc import Mapping

NATIVE: Mapping[str, str] = {"sdxl": "1024,1024", "micro": "96,96"}
"""By size of the base model: width,height in px."""
MOST_MICRO_PIXELS = 160**2
"""Of a picture; above it the practice model is slow and draws nonsense."""


def beyond(size: str, picture_size: tuple[int, int]) -> bool:
    """Whether a base model of `size` ("sdxl" or "micro") cannot do anything with pictures of (width, height) px."""
    width, height = picture_size
    return size == "micro" and width * height > MOST_MICRO_PIXELS
