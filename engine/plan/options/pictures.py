"""Sizes and buckets."""

from __future__ import annotations

from pydantic import field_validator

from engine.plan.option import OptionGroup, option
from engine.plan.option_values import parse_resolution


class PictureOptions(OptionGroup):
    """Sizes and buckets."""

    # fmt: off
    resolution: str = option(
        "1024,1024", "Resolution", "Pictures",
        "The size, width,height in pixels, that pictures are trained at; SDXL was made for 1024,1024 and learns poorly "
        "far below it.",
        usual="1024,1024", guide="1024,1024",
        page="basic", words="memory vram size pixels detail",
    )
    enable_bucket: bool = option(
        True, "Buckets", "Pictures",
        "Groups pictures of the same shape, so that wide and tall ones keep their shape; off, every picture is cropped "
        "to the one resolution.",
        usual="on", guide="on",
        page="basic", words="aspect ratio crop",
    )
    bucket_no_upscale: bool = option(
        True, "Never enlarge pictures", "Pictures",
        "Small pictures are trained at their own size instead of being blown up, which would teach blur.",
        usual="on", guide="on",
        words="small pictures blur",
    )
    bucket_reso_steps: int = option(
        32, "Step between bucket sizes", "Pictures",
        "Bucket sides are multiples of this many pixels: a smaller step crops less; SDXL needs a multiple of 32.",
        usual="32 or 64", guide="32", limits=(8, 1024),
        words="aspect ratio crop", step=32,
    )
    min_bucket_reso: int = option(
        256, "Shortest bucket side", "Pictures",
        "No bucket has a side under this many pixels; only counts where small pictures may be enlarged.",
        usual="256", guide="256", limits=(8, 16384),
        words="aspect ratio", step=32,
    )
    max_bucket_reso: int = option(
        2048, "Longest bucket side", "Pictures",
        "No bucket has a side over this many pixels; only counts where small pictures may be enlarged.",
        usual="2048", guide="2048", limits=(8, 16384),
        words="aspect ratio", step=32,
    )
    flip_aug: bool = option(
        False, "Mirror pictures", "Pictures",
        "Shows a picture mirrored about every second time, left and right exchanged: more variety from few pictures, "
        "but wrong for faces, writing and whatever has two different sides.",
        usual="off for people, on for symmetrical things", guide="off",
        words="flip mirror horizontal augmentation",
    )
    alpha_mask: bool = option(
        False, "Learn only what is opaque", "Pictures",
        "Where a picture is transparent nothing is learnt, and half of it where it is half transparent: cut the "
        "background out, and only the subject counts.",
        usual="off, on for pictures with a cut-out background", guide="off",
        words="mask masked loss transparent background cut out alpha",
    )
    cache_latents: bool = option(
        True, "Encode pictures once", "Pictures",
        "Turns all pictures into the model's own form before the training begins; off, that is done anew each time a "
        "picture is seen, which is slower, needs more GPU memory and gives the same result.",
        usual="on", guide="off (which is slower; it says the opposite)",
        words="memory vram speed cache latents vae",
    )
    max_data_loader_n_workers: int = option(
        2, "Pictures read ahead by", "Pictures",
        "How many threads read and scale pictures while the model turns others into its own form, before the training "
        "begins. It only changes how long that takes; with 0 each picture is read when its turn comes.",
        usual="2 to 8, no more than the processor has cores", guide="0", limits=(0, 64),
        words="workers threads speed loader cores",
    )
    # fmt: on

    @field_validator("resolution", mode="before")
    @classmethod
    def _canonical_resolution(cls, value: object) -> object:
        width, height = parse_resolution(value)
        return f"{width},{height}"

    @property
    def size(self) -> tuple[int, int]:
        """The resolution as (width, height) in pixels."""
        return parse_resolution(self.resolution)
