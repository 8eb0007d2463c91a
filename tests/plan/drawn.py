"""Pictures of several kinds, drawn from a seed: a texture, flat drawings, a portrait before a soft background."""

from __future__ import annotations

import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIDE = 384
SIZE = (SIDE, SIDE)


def texture(seed: int = 0) -> Image.Image:
    """Something like leaves: small shapes of all brightnesses."""
    dice, image = random.Random(seed), Image.new("RGB", SIZE, (90, 110, 70))
    draw = ImageDraw.Draw(image)
    for _ in range(900):
        x, y, r = dice.randrange(SIDE), dice.randrange(SIDE), dice.randrange(4, 22)
        fill = tuple(dice.randrange(256) for _ in range(3))
        draw.ellipse((x, y, x + r, y + dice.randrange(4, 22)), fill=fill)
    return image


def drawing(seed: int = 0) -> Image.Image:
    """A figure of a few plain areas, as in the demo or in a cartoon; most of it is flat."""
    dice, image = random.Random(seed), Image.new("RGB", SIZE, (214, 226, 236))
    draw = ImageDraw.Draw(image)
    shirt = tuple(dice.randrange(30, 220) for _ in range(3))
    x, y = dice.randrange(120, 200), dice.randrange(60, 110)
    draw.rectangle((0, 300, SIDE, SIDE), fill=(120, 160, 90))
    draw.rectangle((x - 50, y + 70, x + 90, 340), fill=shirt)
    draw.ellipse((x - 30, y - 30, x + 70, y + 80), fill=(236, 196, 164), outline=(40, 30, 30), width=2)
    for eye in (x, x + 34):
        draw.ellipse((eye, y + 10, eye + 9, y + 20), fill=(20, 20, 20))
    return image


def portrait(seed: int = 0) -> Image.Image:
    """A face in focus on a tenth of the picture, everything else far out of focus."""
    image = texture(seed).filter(ImageFilter.GaussianBlur(14))
    face = drawing(seed).crop((90, 20, 280, 200)).resize((130, 124), Image.Resampling.LANCZOS)
    image.paste(face, (120, 110))
    return image


def writing(seed: int = 0) -> Image.Image:
    """Black strokes on white, as of a page."""
    dice, image = random.Random(seed), Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    for y in range(20, SIDE - 20, 14):
        for x in range(20, SIDE - 20, 9):
            if dice.random() < 0.8:
                draw.line((x, y, x + dice.randrange(1, 7), y + dice.randrange(1, 9)), fill=(20, 20, 20), width=2)
    return image


def moved(image: Image.Image, pixels: int) -> Image.Image:
    """As a camera that moves to the side sees it."""
    mean = image
    for step in range(1, pixels):
        mean = Image.blend(mean, ImageChops.offset(image, step, 0), 1 / (step + 1))
    return mean


def enlarged(image: Image.Image, times: int) -> Image.Image:
    """As large as before, from a copy that was `times` smaller."""
    small = image.resize((image.width // times, image.height // times), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)


KINDS: dict[str, Callable[[int], Image.Image]] = {
    "texture": texture,
    "drawing": drawing,
    "portrait": portrait,
    "writing": writing,
}
