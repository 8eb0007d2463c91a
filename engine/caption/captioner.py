"""What every captioner is: something that looks at pictures and says a text for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image


@dataclass(frozen=True)
class Shown:
    """A picture as a captioner gets it. image: RGB, upright; with an alpha channel (RGBA) where the file has one.
    class_name: of what its folder shows; trigger: the word for it, "" where it has none or shall not be said."""

    path: Path
    image: Image.Image
    class_name: str = ""
    trigger: str = ""

    @property
    def opaque(self) -> Image.Image:
        """As training sees it: what lies under transparency."""
        return self.image.convert("RGB")


class Captioner(Protocol):
    """One captioner, loaded. Saying the same of the same picture is part of it: nothing is drawn by chance."""

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        """A text for each picture, "" where there is nothing to say. Raises torch.OutOfMemoryError for too many."""
        ...
