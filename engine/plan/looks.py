"""How a picture looks, from its pixels and with Pillow alone: how sharp, whom it resembles, what is see-through.

Sharpness is the width of the sharpest edges in pixels. That holds for flat drawings, whose few edges are sharp, and for
photographs with a soft background, where some edges are; the usual variance of a filtered picture holds for neither.
"""

from __future__ import annotations

import base64
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageChops, ImageOps, ImageStat

from engine.plan.pictures import formats, rgb

LOOKED_AT = 768
"""Pictures are looked at with no more pixels than a square of this side."""
HASH_SIDE = 8
THUMB_SIDE = 12
"""A thumbnail of so many pixels across and down tells apart what has the same hash."""

_WINDOW = 16  # pixels along which an edge may rise
_ROWS = 4  # every fourth row, and in it every eighth pixel, are enough
_COLUMNS = 8
_CONTRAST = 40  # levels of 256; what rises less may be noise, or out of focus
_FEWEST_EDGES = 25
_SHARPEST = 0.1  # of the edges: those of a face before a soft background
_OPAQUE = 250  # of 255
_FLAT = 12.0  # levels; what varies less has one colour

Under = Literal["", "black", "white", "picture"]


@dataclass(frozen=True)
class Look:
    """What was seen in one picture.

    edge: width of its sharp edges as a share of the side of a square of the picture's area; 0 where it has no edges to
    judge by. hash: 128 bits, of which few differ between pictures that are alike. thumb: RGB, THUMB_SIDE² × 3 bytes.
    clear: the share of the pixels that is see-through. under: what is trained there, "" where nothing is see-through.
    """

    edge: float
    hash: int
    thumb: bytes
    clear: float = 0.0
    under: Under = ""

    def edge_at(self, width: int, height: int) -> float:
        """How many pixels wide its sharp edges are where it has this size."""
        return self.edge * math.sqrt(width * height)

    def as_row(self) -> list[object]:
        """For JSON; `from_row` reads it."""
        return [self.edge, f"{self.hash:032x}", base64.b64encode(self.thumb).decode(), self.clear, self.under]


def from_row(row: Sequence[Any]) -> Look | None:
    """What `as_row` wrote; None of an empty one. Raises TypeError or ValueError for anything else."""
    if not row:
        return None
    edge, bits, thumb, clear, under = row
    look = Look(float(edge), int(bits, 16), base64.b64decode(thumb), float(clear), under)
    if len(look.thumb) != THUMB_SIDE * THUMB_SIDE * 3 or under not in ("", "black", "white", "picture"):
        raise ValueError
    return look


def look_at(path: Path) -> Look | None:
    """Look at a picture as it is trained: upright, RGB. None where it cannot be read; then `measure` says why."""
    try:
        with warnings.catch_warnings(), Image.open(path, formats=formats()) as image:
            warnings.simplefilter("ignore")
            side = LOOKED_AT * LOOKED_AT / max(1, image.width * image.height)
            if side < 1:  # a JPEG is decoded at a half, a quarter or an eighth, which is several times as fast
                image.draft("RGB", (math.ceil(image.width * side**0.5), math.ceil(image.height * side**0.5)))
            image.load()
            return look(ImageOps.exif_transpose(image))
    except Exception:  # decoders given broken files raise anything
        return None


def look(image: Image.Image) -> Look:
    """Look at an upright picture of any mode."""
    clear, under = _see_through(image) if image.has_transparency_data else (0.0, "")
    colours = rgb(image)
    grey = _shrunk(colours.convert("L"))
    edge = edge_width(grey) / math.sqrt(grey.width * grey.height)
    thumb = colours.resize((THUMB_SIDE, THUMB_SIDE), Image.Resampling.BOX)
    return Look(round(edge, 6), difference_hash(grey), thumb.tobytes(), clear, under)


def _shrunk(image: Image.Image) -> Image.Image:
    scale = math.sqrt(LOOKED_AT * LOOKED_AT / (image.width * image.height))
    if scale >= 1:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BOX)


# ------------------------------------------------------------------------------------------------------------ sharpness
def edge_width(grey: Image.Image) -> float:
    """Pixels in which a sharp edge of the picture rises, from 1 (sharp) to 16; 0 where there is nothing to judge by.

    Taken across and downwards, and the wider of the two counts: a movement blurs only the edges across it.
    """
    across, down = _rise(grey), _rise(grey.transpose(Image.Transpose.TRANSPOSE))
    return max(across, down)


def _rise(grey: Image.Image) -> float:
    """The width of the sharpest tenth of the edges across; 0 where there are too few.

    Along each window of a row: the difference between its brightest and its darkest pixel, and the steepest step from
    one pixel to the next. The first divided by the second is the width of an edge.
    """
    width, height = grey.size
    if width <= 2 * _WINDOW:
        return 0.0
    rows = grey.resize((width, max(1, height // _ROWS)), Image.Resampling.NEAREST)
    step = ImageChops.difference(rows, ImageChops.offset(rows, -1, 0))
    lightest = darkest = rows
    steepest, reach = step, 1
    while reach < _WINDOW:
        lightest = ImageChops.lighter(lightest, ImageChops.offset(lightest, -reach, 0))
        darkest = ImageChops.darker(darkest, ImageChops.offset(darkest, -reach, 0))
        if 2 * reach < _WINDOW:
            steepest = ImageChops.lighter(steepest, ImageChops.offset(steepest, -reach, 0))
        else:  # a window of 16 pixels has 15 steps
            steepest = ImageChops.lighter(steepest, ImageChops.offset(steepest, 1 - reach, 0))
        reach *= 2
    contrast = ImageChops.subtract(lightest, darkest)
    whole = (0, 0, width - _WINDOW, rows.height)  # windows that leave the picture at the right come back at the left
    size = ((width - _WINDOW) // _COLUMNS, rows.height)
    parts = [one.crop(whole).resize(size, Image.Resampling.NEAREST).tobytes() for one in (contrast, steepest)]
    pairs = Counter(zip(parts[0], parts[1], strict=True))
    edges = sorted((rise / steep, count) for (rise, steep), count in pairs.items() if rise >= _CONTRAST and steep)
    wanted = _SHARPEST * sum(count for _, count in edges)
    if wanted < _SHARPEST * _FEWEST_EDGES:
        return 0.0
    for ratio, count in edges:
        wanted -= count
        if wanted <= 0:
            return float(ratio)
    return 0.0


# --------------------------------------------------------------------------------------------------------- resemblance
def difference_hash(grey: Image.Image) -> int:
    """128 bits: of 8 × 8 fields, whether each is brighter than the one at its right, and than the one below (dHash)."""
    side = HASH_SIDE
    bits = 0
    across = grey.resize((side + 1, side), Image.Resampling.BOX).tobytes()
    for place in range(side * (side + 1)):
        if place % (side + 1) != side:
            bits = bits << 1 | (across[place] > across[place + 1])
    down = grey.resize((side, side + 1), Image.Resampling.BOX).tobytes()
    for place in range(side * side):
        bits = bits << 1 | (down[place] > down[place + side])
    return bits


# --------------------------------------------------------------------------------------------------------- transparency
def _see_through(image: Image.Image) -> tuple[float, Under]:
    """(the share of the picture that is see-through, what is trained there)."""
    upright = image.convert("RGBA")
    alpha = upright.getchannel("A")
    clear = alpha.point([255] * _OPAQUE + [0] * (256 - _OPAQUE))
    share = clear.histogram()[255] / (image.width * image.height)
    if not share:
        return 0.0, ""
    stat = ImageStat.Stat(upright.convert("RGB").convert("L"), clear)
    if stat.stddev[0] > _FLAT:
        return share, "picture"
    return share, "black" if stat.mean[0] < 40 else "white" if stat.mean[0] > 215 else "picture"
