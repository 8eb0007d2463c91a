"""Drawing the little world the built-in model knows: people, cats, dogs and robots in front of a few scenes.

Only Pillow is used here. `draw` turns a `Subject` into a picture; what a subject may look like and how it is put into
words is in `descriptions`. Everything is drawn four times too large and averaged down, and every feature is at least
about 8 px wide at 96 px: that is one cell of the VAE's latent, the smallest thing the model can hold on to.
"""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

SUPERSAMPLING = 4

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (208, 36, 32),
    "blue": (38, 84, 216),
    "green": (36, 150, 62),
    "yellow": (250, 208, 40),
    "white": (242, 242, 240),
    "black": (26, 24, 30),
    "grey": (140, 142, 148),
    "pink": (246, 150, 186),
    "orange": (246, 132, 18),
    "purple": (138, 52, 200),
}
HAIR: dict[str, Colour] = {
    "red": (206, 58, 22),
    "black": (24, 20, 26),
    "blond": (246, 206, 84),
    "brown": (96, 50, 20),
    "blue": (44, 96, 226),
    "white": (240, 240, 244),
    "green": (60, 214, 70),
    "pink": (250, 130, 190),
    "purple": (138, 52, 200),
}
SKIN: dict[str, Colour] = {
    "light": (250, 212, 184),
    "tan": (214, 160, 116),
    "dark": (150, 100, 68),
    "purple": (142, 70, 206),
    "blue": (70, 130, 220),
    "green": (110, 180, 80),
}
FUR: dict[str, Colour] = {
    "black": (40, 38, 44),
    "white": (240, 238, 234),
    "orange": (236, 140, 48),
    "grey": (146, 148, 156),
    "brown": (134, 84, 46),
}


@dataclass(frozen=True)
class Subject:
    """What is in a picture. `kind` is man, woman, cat, dog or robot; colours are names of the tables above."""

    kind: str
    scene: str
    hair: str = "brown"
    shirt: str = "blue"
    hat: str = "none"
    skin: str = "light"
    expression: str = "neutral"
    beard: bool = False
    mohawk: bool = False
    pointed_ears: bool = False
    fur: str = "grey"


def _shade(colour: Colour, factor: float) -> Colour:
    return tuple(max(0, min(255, round(c * factor))) for c in colour)  # type: ignore[return-value]


def _jittered(colour: Colour, rng: random.Random, amount: int) -> Colour:
    shift = rng.randint(-amount, amount)
    return tuple(max(0, min(255, c + shift + rng.randint(-amount // 2, amount // 2))) for c in colour)  # type: ignore[return-value]


class _Pen:
    """Shapes in units of `scale` pixels around a centre, drawn on the oversized canvas."""

    def __init__(self, image: Image.Image, cx: float, cy: float, scale: float) -> None:
        self.draw = ImageDraw.Draw(image)
        self.cx, self.cy, self.scale = cx, cy, scale

    def _x(self, x: float) -> float:
        return (self.cx + x * self.scale) * SUPERSAMPLING

    def _y(self, y: float) -> float:
        return (self.cy + y * self.scale) * SUPERSAMPLING

    def _box(self, x: float, y: float, w: float, h: float) -> list[float]:
        return [self._x(x - w / 2), self._y(y - h / 2), self._x(x + w / 2), self._y(y + h / 2)]

    def ellipse(self, x: float, y: float, w: float, h: float, fill: Colour) -> None:
        self.draw.ellipse(self._box(x, y, w, h), fill=fill)

    def rounded(self, x: float, y: float, w: float, h: float, r: float, fill: Colour) -> None:
        self.draw.rounded_rectangle(self._box(x, y, w, h), radius=r * self.scale * SUPERSAMPLING, fill=fill)

    def chord(self, x: float, y: float, w: float, h: float, start: float, end: float, fill: Colour) -> None:
        self.draw.chord(self._box(x, y, w, h), start, end, fill=fill)

    def arc(self, x: float, y: float, w: float, h: float, start: float, end: float, fill: Colour, width: float) -> None:
        self.draw.arc(self._box(x, y, w, h), start, end, fill=fill, width=round(width * self.scale * SUPERSAMPLING))

    def polygon(self, points: list[tuple[float, float]], fill: Colour) -> None:
        self.draw.polygon([(self._x(x), self._y(y)) for x, y in points], fill=fill)


def _background(image: Image.Image, scene: str, rng: random.Random) -> None:
    """One of the five places, or a plain wall in the colour that the scene is named after."""
    width, height = image.size
    draw = ImageDraw.Draw(image)
    s = SUPERSAMPLING

    def band(top: float, bottom: float, colour: Colour) -> None:
        draw.rectangle([0, top * height, width, bottom * height], fill=colour)

    def disc(x: float, y: float, radius_px: float, colour: Colour) -> None:
        r = radius_px * s
        draw.ellipse([x * width - r, y * height - r, x * width + r, y * height + r], fill=colour)

    if scene == "beach":
        band(0, 1, _jittered((126, 204, 250), rng, 6))
        band(0.46 + rng.uniform(-0.04, 0.04), 1, _jittered((24, 116, 206), rng, 6))
        band(0.68 + rng.uniform(-0.03, 0.03), 1, _jittered((244, 218, 142), rng, 6))
        disc(rng.choice([0.11, 0.89]), 0.13, 9, (255, 222, 50))
    elif scene == "forest":
        band(0, 1, _jittered((184, 226, 190), rng, 6))
        band(0.72, 1, _jittered((92, 140, 50), rng, 6))
        for k in range(4):
            x = (k + 0.1 + rng.uniform(-0.12, 0.12)) / 3 * width
            w, top = 0.2 * width, rng.uniform(0.05, 0.22) * height
            draw.rectangle([x - 3 * s, 0.7 * height, x + 3 * s, 0.82 * height], fill=(96, 62, 34))
            draw.polygon(
                [(x, top), (x - w, 0.76 * height), (x + w, 0.76 * height)], fill=_jittered((22, 98, 48), rng, 8)
            )
    elif scene == "night":
        band(0, 1, _jittered((18, 20, 66), rng, 5))
        disc(rng.choice([0.13, 0.87]), 0.15, 9.5, (250, 246, 206))
        for _ in range(6):
            disc(rng.random(), rng.uniform(0, 0.6), 1.8, (226, 226, 250))
    elif scene == "snow":
        band(0, 1, _jittered((164, 192, 222), rng, 6))
        band(0.6 + rng.uniform(-0.04, 0.04), 1, _jittered((244, 248, 252), rng, 3))
        for _ in range(12):
            disc(rng.random(), rng.uniform(0, 0.6), 2.6, (252, 254, 255))
    elif scene == "city":
        band(0, 1, _jittered((206, 186, 190), rng, 6))
        count = max(4, round(width / s / 22))
        for k in range(count):
            left, right = k / count * width, (k + 0.88) / count * width
            top = rng.uniform(0.04, 0.36) * height
            draw.rectangle([left, top, right, height], fill=_jittered((104, 104, 124), rng, 14))
            window = (right - left) * 0.46
            x, y = left + window * 0.6, top + window * 0.6
            while y < height:
                draw.rectangle([x, y, x + window, y + window], fill=(250, 230, 140))
                y += window * 1.9
    else:
        draw.rectangle([0, 0, width, height], fill=_jittered(COLOURS[scene], rng, 8))


def _mouth(pen: _Pen, y: float, expression: str, colour: Colour = (140, 20, 34)) -> None:
    if expression == "smiling":
        pen.chord(0, y - 4, 20, 17, 0, 180, colour)
        pen.rounded(0, y - 2.6, 14, 3.2, 1, (252, 250, 246))
    elif expression == "sad":
        pen.arc(0, y + 6, 18, 16, 200, 340, colour, 3.6)
    elif expression == "surprised":
        pen.ellipse(0, y + 1, 9, 12, colour)
    else:
        pen.rounded(0, y, 15, 3.8, 1.8, colour)


def _eyes(pen: _Pen, y: float, gap: float, iris: Colour) -> None:
    for x in (-gap, gap):
        pen.ellipse(x, y, 12, 10.5, (254, 254, 254))
        pen.ellipse(x, y, 6.4, 7.4, iris)


def _person(pen: _Pen, s: Subject, rng: random.Random) -> None:
    man = s.kind == "man"
    skin, hair, shirt = (
        _jittered(SKIN[s.skin], rng, 5),
        _jittered(HAIR[s.hair], rng, 5),
        _jittered(COLOURS[s.shirt], rng, 5),
    )
    if not man:  # long hair hangs behind the neck and over the shoulders
        pen.rounded(0, 8, 62, 74, 27, hair)
    pen.rounded(0, 68, 82 if man else 68, 68, 19, shirt)
    pen.rounded(0, 28, 17 if man else 13, 22, 5, _shade(skin, 0.86))
    if s.pointed_ears:
        for side in (-1, 1):
            pen.polygon([(side * 17, -7), (side * 41, -21), (side * 18, 10)], skin)
    elif man:
        for x in (-22, 22):
            pen.ellipse(x, 1, 10, 13, _shade(skin, 0.9))
    if man:
        pen.rounded(0, 0, 43, 53, 18, skin)
    else:
        pen.ellipse(0, 1, 41, 51, skin)
    if s.beard:
        pen.chord(0, 5, 44, 48, 4, 176, hair)
        pen.rounded(0, 10, 40, 8, 3, hair)
    if s.mohawk:
        pen.polygon([(-9, -20), (-11, -34), (-5, -31), (0, -46), (5, -31), (11, -34), (9, -20)], hair)
    elif man:
        pen.chord(0, -11, 47, 38, 180, 360, hair)
        for x in (-21, 21):
            pen.rounded(x, -6, 8, 20, 2, hair)
    else:
        pen.chord(0, -8, 48, 44, 178, 362, hair)
        for x in (-24, 24):
            pen.rounded(x, 14, 11, 56, 5, hair)
    _eyes(pen, -3, 10, (44, 34, 30))
    if man and not s.mohawk:
        for x in (-10, 10):
            pen.rounded(x, -11, 12, 3.4, 1.5, _shade(hair, 0.7) if s.hair != "black" else hair)
    pen.ellipse(0, 6, 6, 7, _shade(skin, 0.8))
    _mouth(pen, 16, s.expression, (140, 20, 34) if man else (206, 20, 58))
    if s.hat != "none":
        hat = _jittered(COLOURS[s.hat], rng, 5)
        pen.rounded(0, -28, 40, 27, 8, hat)
        pen.rounded(0, -17, 60, 9, 4, _shade(hat, 0.84))


def _cat(pen: _Pen, s: Subject, rng: random.Random) -> None:
    fur = _jittered(FUR[s.fur], rng, 6)
    pen.ellipse(0, 62, 56, 72, _shade(fur, 0.9))
    for side in (-1, 1):
        pen.polygon([(side * 29, -38), (side * 6, -18), (side * 27, 2)], fur)
        pen.polygon([(side * 25, -29), (side * 12, -17), (side * 24, -6)], (248, 166, 178))
    pen.ellipse(0, 4, 58, 50, fur)
    for x in (-13, 13):
        pen.ellipse(x, 0, 15, 14, (150, 224, 70))
        pen.ellipse(x, 0, 5, 12, (16, 18, 16))
    pen.polygon([(-5, 11), (5, 11), (0, 17)], (250, 120, 140))
    _mouth(pen, 21, s.expression, (120, 24, 44))


def _dog(pen: _Pen, s: Subject, rng: random.Random) -> None:
    fur = _jittered(FUR[s.fur], rng, 6)
    pen.rounded(0, 68, 54, 70, 22, _shade(fur, 0.9))
    pen.rounded(0, -2, 46, 56, 20, fur)
    for side in (-1, 1):
        pen.rounded(side * 26, 2, 15, 44, 7, _shade(fur, 0.62) if s.fur != "black" else (92, 84, 80))
    _eyes(pen, -8, 10, (50, 30, 20))
    pen.ellipse(0, 14, 32, 26, _shade(fur, 1.22) if s.fur not in ("white", "black") else (206, 196, 184))
    pen.ellipse(0, 6, 14, 9, (22, 20, 24))
    if s.expression == "smiling":
        pen.rounded(0, 24, 10, 14, 5, (240, 96, 120))
    else:
        _mouth(pen, 20, s.expression, (110, 26, 36))


def _robot(pen: _Pen, s: Subject, rng: random.Random) -> None:
    metal = _jittered(COLOURS[s.shirt], rng, 6)
    pen.rounded(0, -34, 5, 18, 1, (110, 112, 118))
    pen.ellipse(0, -42, 11, 11, (240, 60, 40))
    pen.rounded(0, 32, 20, 14, 2, (110, 112, 118))
    pen.rounded(0, 68, 66, 62, 5, _shade(metal, 0.86))
    pen.ellipse(0, 54, 13, 13, (252, 214, 60))
    pen.rounded(0, 0, 56, 50, 5, metal)
    for x in (-14, 14):
        pen.rounded(x, -6, 16, 15, 1, (252, 244, 170))
        pen.rounded(x, -6, 7, 8, 1, (24, 24, 30))
    pen.rounded(0, 15, 32, 8, 2, (48, 48, 56))


_FIGURES = {"man": _person, "woman": _person, "cat": _cat, "dog": _dog, "robot": _robot}


def draw(subject: Subject, width: int, height: int, rng: random.Random) -> Image.Image:
    """Draw `subject` as an RGB picture of `width` x `height` px; `rng` decides position, size and shades."""
    image = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    _background(image, subject.scene, rng)
    fit = min(width / 96, height / 96) ** 0.7 * (width * height / 96**2) ** 0.15
    scale = fit * rng.uniform(0.9, 1.08)
    cx = width / 2 + rng.uniform(-5, 5) * width / 96
    cy = height * 0.5 + rng.uniform(-3, 4) * height / 96
    _FIGURES[subject.kind](_Pen(image, cx, cy, scale), subject, rng)
    return image.reduce(SUPERSAMPLING)


def rotate_hue(image: Image.Image, turn: float) -> Image.Image:
    """Shift all hues by `turn` (0..1 of the circle): the VAE meets colours the U-Net never sees, a purple face say."""
    hue, saturation, value = image.convert("HSV").split()
    shift = round(turn * 255)
    return Image.merge("HSV", (hue.point(lambda h: (h + shift) % 256), saturation, value)).convert("RGB")


def scribble(width: int, height: int, rng: random.Random) -> Image.Image:
    """Random blobs and bars in random colours, so that the VAE can hold pictures that are not of its little world."""

    def colour() -> Colour:
        r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.random(), rng.uniform(0.1, 1))
        return round(r * 255), round(g * 255), round(b * 255)

    image = Image.new("RGB", (width * 2, height * 2), colour())
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(3, 10)):
        x, y = rng.uniform(-0.2, 1) * width * 2, rng.uniform(-0.2, 1) * height * 2
        w, h = rng.uniform(0.08, 0.6) * width * 2, rng.uniform(0.08, 0.6) * height * 2
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)([x, y, x + w, y + h], fill=colour())
    return image.reduce(2)
