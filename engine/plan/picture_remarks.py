"""What is to be said of one picture that is trained: small, blurred, cut, see-through, turned, nearly the same as
another.

Each remark says why it matters for what is learnt, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.plan.dataset import Picture
from engine.plan.errors import Finding
from engine.plan.looks import Look
from engine.plan.remedy import set_line
from engine.plan.settings import Settings

SMALL_SHARE = 0.5
"""A picture under half of the resolution's pixels is called small: 724×724 where 1024×1024 is trained."""
BLURRED_PIXELS = 3.3
"""Where sharp edges are wider at the size of training. Sharp pictures have 1 to 2.5, a Gaussian of 2 pixels makes 4."""
CUT_SHARE = 0.125
CLEAR_SHARE = 0.005
OWN_SIZE = "at its own size"
UNDER = {"black": "plain black", "white": "plain white", "picture": "what lies under it", "": "what lies under it"}


def is_small(settings: Settings, picture: Picture) -> bool:
    """Whether it has so few pixels that what it teaches suffers."""
    return picture.width * picture.height < SMALL_SHARE * settings.size[0] * settings.size[1]


def edge_pixels(picture: Picture, look: Look) -> float:
    """How wide its sharp edges are where it is trained, in pixels; that it is enlarged is no blur of its own."""
    own, trained = (picture.width, picture.height), picture.resized
    return look.edge_at(*min(own, trained, key=lambda size: size[0] * size[1]))


def scaled(picture: Picture) -> str:
    """What becomes of its size before it is cut."""
    own, trained = picture.width * picture.height, picture.resized[0] * picture.resized[1]
    return OWN_SIZE if own == trained else "made smaller" if own > trained else "enlarged"


def remarks_on(settings: Settings, picture: Picture, look: Look | None) -> Iterable[Finding]:
    """Remarks, the worst first. look: None where the picture was not looked at yet."""
    if look is not None and (width := edge_pixels(picture, look)) > BLURRED_PIXELS:
        yield Finding(
            "blurred",
            f"{picture.path.name} looks blurred: its sharpest edges are {width:.0f} pixels wide at the size of "
            "training. The LoRA learns blur like everything else it sees.",
            "Leave it out, unless it shows something that no other picture does.",
        )
    if is_small(settings, picture):
        yield _small_one(settings, picture)
    if picture.cropped > CUT_SHARE:
        yield Finding(
            "cut",
            f"{_sides(picture)}, {picture.cropped:.0%} of {picture.path.name} is cut off for its shape of "
            f"{picture.bucket[0]}×{picture.bucket[1]}, from the middle outwards: what was there is not learnt.",
            "If it matters, cut the picture yourself, nearer to that shape.",
        )
    if look is not None and look.clear > CLEAR_SHARE and not settings.alpha_mask:
        yield Finding(
            "see-through",
            f"{look.clear:.0%} of {picture.path.name} is see-through. Training knows no transparency: "
            f"{UNDER[look.under]} is learnt there.",
            f"Put it on a background. Or do not learn that part: {set_line('alpha_mask', 'true')}",
        )
    if picture.turned:
        yield Finding(
            "turned",
            f"{picture.path.name} is stored turned or mirrored, with a note (EXIF) that says so; here the note is "
            "obeyed. kohya's scripts do not, and train such a picture lying on its side.",
            "If it stands wrongly in the preview, turn it in a picture program and save it anew.",
            level="note",
        )


def _small_one(settings: Settings, picture: Picture) -> Finding:
    width, height = settings.size
    share = picture.width * picture.height / (width * height)
    kept = settings.enable_bucket and settings.bucket_no_upscale
    becomes = "is trained at that size and teaches little detail" if kept else "is enlarged, and teaches blur"
    return Finding(
        "small",
        f"{picture.path.name} has {picture.width}×{picture.height} pixels, {share:.0%} of what is trained: it "
        f"{becomes}.",
        "Look for a larger copy, or leave it out.",
    )


def _sides(picture: Picture) -> str:
    across = picture.resized[0] - picture.bucket[0] > picture.resized[1] - picture.bucket[1]
    return "At the left and the right" if across else "At the top and the bottom"


def near_copy(picture: Picture, other: Picture, best: bool, why: str = "") -> Finding:
    """why: what the other one is that this one is not, as `larger`; "" where they are as good."""
    if best:
        said = f"{picture.path.name} is the best of some that are nearly the same; another is {other.name}."
        return Finding("near-copy", said, "Keep this one, and leave the others out.", level="note")
    return Finding(
        "near-copy",
        f"{picture.path.name} is nearly the same as {other.name}{f', which is {why}' if why else ''}. "
        "What is seen twice as often is learnt twice as hard.",
        "Leave it out.",
    )
