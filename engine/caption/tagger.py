"""WD taggers (SmilingWolf's, ONNX): tags with a certainty each, of which those over a threshold are the caption.

Pictures are prepared as sd-scripts does (`finetune/tag_images_by_wd14_tagger.py`): on white, padded to a square, blue
first, values 0 to 255.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.caption.captioner import Shown
from engine.plan.captioners import ONNX, TAGS, needs_onnx
from engine.plan.captioning import CaptioningOptions
from engine.plan.errors import UserError

GENERAL, CHARACTER = 0, 4
"""Danbooru's numbers of the categories that are used; 9 is how decent a picture is."""
LONG_FACES = frozenset({"(o)_(o)", "<o>_<o>", "<|>_<|>", "||_||"})
LONGEST_FACE = 3
"""A tag of so few characters is a face drawn with letters, such as ^_^, and keeps its underscore."""
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Tag:
    name: str
    category: int


class Tagger:
    """The tagger in `folder`. cuda: whether to use the graphics card, where ONNX runtime can.

    Raises UserError `needs-onnx` where that is not installed, `damaged`.
    """

    def __init__(self, folder: Path, options: CaptioningOptions, *, cuda: bool = False) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise needs_onnx() from None
        self._tags = read_tags(folder / TAGS)
        self._options = options
        wanted = (["CUDAExecutionProvider"] if cuda else []) + ["CPUExecutionProvider"]
        providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
        try:
            self._session: Any = onnxruntime.InferenceSession(str(folder / ONNX), providers=providers)
        except Exception as error:  # of a kind that is not public
            raise UserError("damaged", f"{folder / ONNX} cannot be read as a tagger.", "Download it again.") from error
        entry = self._session.get_inputs()[0]
        self._input, self._side = entry.name, int(entry.shape[1])  # (N, height, width, 3)
        self._one_by_one = isinstance(entry.shape[0], int)

    def caption(self, pictures: Sequence[Shown]) -> list[str]:
        values = np.stack([prepared(shown.image, self._side) for shown in pictures])
        batches = np.split(values, len(values)) if self._one_by_one else [values]
        rows = np.concatenate([self._session.run(None, {self._input: batch})[0] for batch in batches])
        return [self._said(row) for row in rows]

    def _said(self, certainties: np.ndarray) -> str:
        """Characters first, then what is seen, the surest first."""
        least = {CHARACTER: self._options.character_threshold, GENERAL: self._options.general_threshold}
        found: dict[int, list[tuple[float, str]]] = {CHARACTER: [], GENERAL: []}
        for tag, certainty in zip(self._tags, certainties, strict=True):
            if tag.category in least and certainty >= least[tag.category]:
                found[tag.category].append((float(certainty), spaced(tag.name)))
        ordered = [name for names in found.values() for _, name in sorted(names, key=lambda pair: -pair[0])]
        return ", ".join(name for name in ordered if name.replace("_", " ").casefold() not in self._options.undesired)


def read_tags(path: Path) -> list[Tag]:
    """The tags in the order of the model's answers. Raises UserError `damaged`."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            tags = [Tag(row["name"], int(row["category"])) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        tags = []
    if not tags:
        raise UserError("damaged", f"{path} cannot be read as a list of tags.", "Download it again.")
    return tags


def spaced(name: str) -> str:
    """A tag as people write it: spaces for underscores, but not in faces."""
    return name if len(name) <= LONGEST_FACE or name in LONG_FACES else name.replace("_", " ")


def prepared(image: Image.Image, side: int) -> np.ndarray:
    """(side, side, 3) float32, 0 to 255, blue first: on white, padded to a square with white."""
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, (*WHITE, 255))
        image = Image.alpha_composite(white, image)
    rgb = image.convert("RGB")
    longest = max(rgb.size)
    square = Image.new("RGB", (longest, longest), WHITE)
    square.paste(rgb, ((longest - rgb.width) // 2, (longest - rgb.height) // 2))
    if longest != side:
        # sd-scripts: areas are averaged where it shrinks, Lanczos where it grows.
        way = Image.Resampling.BOX if longest > side else Image.Resampling.LANCZOS
        square = square.resize((side, side), way)
    return np.asarray(square, dtype=np.float32)[:, :, ::-1]
