"""Which size each picture is trained at: sd-scripts' buckets (`model_util.make_bucket_resolutions`,
`train_util.BucketManager`), to the number.

All sizes are (width, height) in pixels, of the picture after EXIF orientation, except where a name says (h, w).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from engine.plan.settings import Settings

Size = tuple[int, int]


@dataclass(frozen=True)
class Placement:
    """How one picture comes into its bucket: scaled to `resized`, then cropped around the centre to `bucket`.

    A side of 0 in `bucket` means that the picture is too small or too narrow for any bucket.
    """

    resized: Size
    bucket: Size

    @property
    def fits(self) -> bool:
        """Whether there is a bucket for the picture at all."""
        return min(self.bucket) > 0


def make_bucket_resolutions(area: Size, shortest: int, longest: int, step: int) -> list[Size]:
    """The buckets for pictures that may be enlarged: about the area of `area`, sides from `shortest` to `longest`.

    Formula: sd-scripts `make_bucket_resolutions`. Sorted; the square is always among them, also where it lies outside
    the limits.
    """
    pixels = area[0] * area[1]
    square = math.isqrt(pixels) // step * step
    sizes = {(square, square)}
    for width in range(shortest, longest + 1, step):
        height = min(longest, pixels // width // step * step)
        if height >= shortest:
            sizes |= {(width, height), (height, width)}
    return sorted(sizes)


@dataclass(frozen=True)
class BucketRules:
    """The rule that gives every picture its size.

    enabled False: one size for all. no_upscale: pictures keep their size where they are smaller than `resolution`;
    `shortest` and `longest` then do not count, as in sd-scripts.
    """

    resolution: Size
    enabled: bool = True
    no_upscale: bool = True
    step: int = 32
    shortest: int = 256
    longest: int = 2048

    @classmethod
    def from_settings(cls, settings: Settings) -> BucketRules:
        """The rules that the settings describe, limits rounded to the step (`adjust_min_max_bucket_reso_by_steps`)."""
        step = settings.bucket_reso_steps
        return cls(
            resolution=settings.size,
            enabled=settings.enable_bucket,
            no_upscale=settings.bucket_no_upscale,
            step=step,
            shortest=max(step, settings.min_bucket_reso // step * step),
            longest=-(-settings.max_bucket_reso // step) * step,
        )

    @cached_property
    def predefined(self) -> list[Size]:
        """The buckets there are, where they are known before the pictures; empty with no_upscale."""
        if not self.enabled:
            return [self.resolution]
        if self.no_upscale:
            return []
        return make_bucket_resolutions(self.resolution, self.shortest, self.longest, self.step)

    def select(self, width: int, height: int) -> Placement:
        """The size for a picture of `width` × `height`, both at least 1. Formula: `BucketManager.select_bucket`."""
        if self.enabled and self.no_upscale:
            resized = self._shrunk(width, height)
            return Placement(resized, (self._floor(resized[0]), self._floor(resized[1])))
        bucket = self._nearest_bucket(width, height)
        if min(bucket) < 1:
            return Placement((width, height), (0, 0))
        return Placement(covering((width, height), bucket), bucket)

    def _nearest_bucket(self, width: int, height: int) -> Size:
        if (width, height) in self.predefined:
            return width, height
        if min(self.predefined[0]) < 1:
            return 0, 0
        ratio = width / height
        # The error is of the ratio itself and not of its logarithm: wide and tall pictures are not treated alike.
        return min(self.predefined, key=lambda size: abs(size[0] / size[1] - ratio))

    def _shrunk(self, width: int, height: int) -> Size:
        """The picture at no more than the resolution's area, one side a multiple of the step, its shape kept."""
        area = self.resolution[0] * self.resolution[1]
        if width * height <= area:
            return width, height
        ratio = width / height
        exact_width = math.sqrt(area * ratio)
        by_width = self._floor(int(exact_width + 0.5))
        by_height = self._floor(int(area / exact_width + 0.5))
        height_by_width = self._floor(int(by_width / ratio + 0.5))
        width_by_height = self._floor(int(by_height * ratio + 0.5))
        if min(by_width, by_height, height_by_width, width_by_height) < 1:
            return round(exact_width), round(area / exact_width)  # thinner than a step: no bucket fits
        if abs(by_width / height_by_width - ratio) < abs(width_by_height / by_height - ratio):
            return by_width, int(by_width / ratio + 0.5)
        return int(by_height * ratio + 0.5), by_height

    def _floor(self, side: int) -> int:
        return side - side % self.step


def covering(image: Size, bucket: Size) -> Size:
    """To which size a picture is scaled so that it covers its bucket and sticks out at two sides at most."""
    wider = image[0] / image[1] > bucket[0] / bucket[1]
    scale = bucket[1] / image[1] if wider else bucket[0] / image[0]
    return int(image[0] * scale + 0.5), int(image[1] * scale + 0.5)


def smaller(bucket: Size, side: int, step: int) -> Size:
    """The bucket of the same shape, as far as `step` allows, of at most `side` × `side` pixels; itself where it has no
    more. It depends on the bucket alone: pictures that are in one batch stay of one size."""
    scale = side / math.sqrt(bucket[0] * bucket[1])
    if scale >= 1:
        return bucket
    return max(step, int(bucket[0] * scale) // step * step), max(step, int(bucket[1] * scale) // step * step)


def cropped(resized: Size, bucket: Size) -> float:
    """The share of a picture that is cut off when it comes from `resized` into its bucket, 0 to 1."""
    return 1 - bucket[0] * bucket[1] / (resized[0] * resized[1])


def crop_ltrb(bucket: Size, image: Size) -> tuple[int, int, float, float]:
    """(left, top, right, bottom) as SDXL's size conditioning wants it. Formula: `BucketManager.get_crop_ltrb`.

    Not the pixels that are cut off: the picture is laid *inside* the bucket as in a letter box, so the values are
    never negative, and left and top are 0 where the shapes are equal.
    """
    ratio = image[0] / image[1]
    if bucket[0] / bucket[1] > ratio:
        width, height = bucket[1] * ratio, float(bucket[1])
    else:
        width, height = float(bucket[0]), bucket[0] / ratio
    # max: where the shapes are equal but for rounding, sd-scripts can say -1.
    left, top = max(0, int((bucket[0] - width) // 2)), max(0, int((bucket[1] - height) // 2))
    return left, top, left + width, top + height


def size_conditioning(bucket: Size, image: Size, mirrored: bool = False) -> tuple[int, int, int, int, int, int]:
    """(orig_h, orig_w, crop_top, crop_left, target_h, target_w), the six numbers SDXL is told about a picture.

    Original: the file's size after EXIF orientation; target: the bucket. Formula: `get_size_embeddings`. Of a mirrored
    picture the right edge becomes the left one (`BaseDataset.__getitem__`).
    """
    left, top, right, _ = crop_ltrb(bucket, image)
    if mirrored:
        left = int(bucket[0] - right)
    return image[1], image[0], top, left, bucket[1], bucket[0]
