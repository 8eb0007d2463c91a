"""Makes the demo project that is shipped: pictures of one character, and regularisation pictures by the base model.

    python -m engine.demo.build

Run once, after the base model has been pretrained; the result is committed. Drawing is seeded, so a test can check that
the shipped pictures of the character are what this module draws.
"""

from __future__ import annotations

import argparse
import io
import random
from pathlib import Path

from PIL import Image

from engine.demo import descriptions
from engine.demo.pictures import Subject, draw

TRAINING_SHAPES = [descriptions.SHAPES[0]] * 16 + [descriptions.SHAPES[1]] * 4 + [descriptions.SHAPES[2]] * 4
HELD_OUT = 16
REGULARISATION = 48
IMAGE_FOLDER = f"10_{descriptions.TRIGGER} {descriptions.CLASS}"
REG_FOLDER = f"1_{descriptions.CLASS}"


def _varied(count: int, rng: random.Random) -> list[Subject]:
    """Characters whose scenes and moods are spread evenly."""
    subjects = []
    for number in range(count):
        subject = descriptions.character(rng)
        scene = descriptions.SCENES[number % len(descriptions.SCENES)]
        mood = descriptions.EXPRESSIONS[(number // 2) % len(descriptions.EXPRESSIONS)]
        subjects.append(Subject(**{**vars(subject), "scene": scene, "expression": mood}))
    return subjects


def character_pictures() -> list[tuple[Image.Image, str]]:
    """The training pictures of the character with their captions."""
    rng = random.Random("the demo character")
    subjects = _varied(len(TRAINING_SHAPES), rng)
    return [
        (draw(s, *shape, rng), descriptions.character_caption(s))
        for s, shape in zip(subjects, TRAINING_SHAPES, strict=True)
    ]


def held_out_pictures() -> list[tuple[Image.Image, str]]:
    """Other pictures of the character, never trained on, with their captions."""
    rng = random.Random("held out")
    return [(draw(s, 96, 96, rng), descriptions.character_caption(s)) for s in _varied(HELD_OUT, rng)]


def regularisation_prompts() -> list[str]:
    """Plain men in all scenes and moods."""
    subjects = _varied(REGULARISATION, random.Random("regularisation"))
    return [descriptions.character_caption(s).removeprefix(f"{descriptions.TRIGGER}, ") for s in subjects]


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _write(folder: Path, pictures: list[tuple[Image.Image, str]], name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (picture, caption) in enumerate(pictures, start=1):
        (folder / f"{name}_{number:02d}.png").write_bytes(png(picture))
        (folder / f"{name}_{number:02d}.txt").write_text(caption + "\n", encoding="utf-8")


def _generate(prompts: list[str]) -> list[Image.Image]:
    from engine.demo.measure import generate
    from engine.models.checkpoint import load
    from engine.plan.base_model import recognise

    base = recognise("micro")
    return generate(load(base), base, prompts, first_seed=5000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent)
    target = parser.parse_args().to
    _write(target / "project" / "img" / IMAGE_FOLDER, character_pictures(), descriptions.TRIGGER)
    _write(target / "project" / "held_out", held_out_pictures(), descriptions.TRIGGER)
    prompts = regularisation_prompts()
    _write(
        target / "project" / "reg" / REG_FOLDER, list(zip(_generate(prompts), prompts, strict=True)), descriptions.CLASS
    )


if __name__ == "__main__":
    main()
