"""Sample pictures for recorded runs: simple shapes that get clearer from step to step, as a training's samples do."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageDraw, ImageFilter

SIZE = 256
_SKIES = (((196, 214, 232), (232, 206, 176)), ((120, 134, 158), (214, 222, 232)), ((44, 38, 74), (226, 138, 84)))
_COATS = ((54, 78, 108), (168, 40, 44), (92, 70, 58))


def draw(number: int, step: int, seed: int) -> Image.Image:
    """The picture (256 × 256) of prompt `number` after `step` steps; the same seed keeps its composition."""
    learned = 1 - math.exp(-step / 600)
    top, bottom = _SKIES[number % len(_SKIES)]
    gradient = Image.linear_gradient("L").resize((SIZE, SIZE))
    scene = Image.composite(Image.new("RGB", gradient.size, bottom), Image.new("RGB", gradient.size, top), gradient)
    pen = ImageDraw.Draw(scene)
    chance = random.Random(seed)
    x = 128 + chance.uniform(-22, 22) + (1 - learned) * chance.uniform(-40, 40)
    if number % 3 == 2:  # the window
        pen.rectangle((16, 16, 96, 150), outline=(70, 54, 46), width=6)
        pen.line((56, 16, 56, 150), fill=(70, 54, 46), width=4)
    coat = _COATS[number % len(_COATS)]
    pen.ellipse((x - 92, 182, x + 92, 340), fill=coat)
    pen.rectangle((x - 18, 150, x + 18, 200), fill=(206, 158, 130))
    pen.ellipse((x - 46, 66, x + 46, 178), fill=(224, 178, 148))
    pen.chord((x - 50, 54, x + 50, 150), 180, 360, fill=(58, 42, 34))
    if number % 3 == 1:  # the scarf
        pen.rounded_rectangle((x - 48, 170, x + 48, 204), 14, fill=(206, 34, 40))
    for side in (-1, 1):
        eye = x + side * (18 + 8 * (1 - learned))
        pen.ellipse((eye - 6, 112, eye + 6, 120), fill=(246, 246, 242))
        pen.ellipse((eye - 3, 113, eye + 3, 119), fill=(46, 60, 74))
    pen.arc((x - 16, 134, x + 16, 156), 20, 160, fill=(150, 74, 70), width=3)
    scene = scene.filter(ImageFilter.GaussianBlur(1 + 9 * (1 - learned)))
    grain = Image.frombytes("RGB", (32, 32), random.Random(seed * 100_003 + step).randbytes(32 * 32 * 3))
    grain = grain.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return Image.blend(scene, grain, 0.03 + 0.72 * math.exp(-step / 350))
