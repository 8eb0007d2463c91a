"""Measures the micro BLIP: is what it says of a picture true? Asked through the captioner itself, as people use it.

    python -m engine.demo.blip_measure [--model FOLDER] [--json FILE] [--captions]

200 drawings of the wider world that it has never seen, at the three shapes, and the demo character's pictures, which
nobody has ever shown it. A caption's attributes are read back from its words and held against what was drawn.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.caption.captioner import Captioner, Shown
from engine.caption.load import device_for, load
from engine.caption.opening import opened
from engine.demo import blip_words, descriptions
from engine.demo.pictures import Subject, draw
from engine.plan.captioners import MICRO_FOLDER, find
from engine.plan.captioning import CaptioningOptions
from engine.plan.job_options import captioning, parse_job_text

PICTURES, BATCH = 200, 20
GOAL, CHARACTER_GOAL = 0.92, 0.8
ASKED: dict[str, object] = {"prompt": blip_words.PROMPT, "num_beams": 10, "min_length": 25}
SCENE_OF = {words: name for name, words in descriptions.SCENE_WORDS.items()}
NEEDED = ("kind", "shirt", "scene")
"""What has to be right of the character."""


def held_out(count: int = PICTURES) -> list[tuple[Shown, dict[str, str]]]:
    """Drawings with what is true of them. Training draws from other seeds."""
    found = []
    for number in range(count):
        rng = random.Random(f"held out {number}")
        subject = blip_words.random_subject(rng)
        picture = draw(subject, *descriptions.SHAPES[number % len(descriptions.SHAPES)], rng)
        found.append((Shown(Path(f"{number}.png"), picture), blip_words.truth(subject)))
    return found


def of_the_character() -> list[tuple[Shown, dict[str, str]]]:
    """The demo's pictures, with the truth that their captions leave out."""
    folder = Path(__file__).parent / "project"
    paths = sorted([*folder.glob("img/*/*.png"), *folder.glob("held_out/*.png")])
    return [
        (Shown(path, opened(path)), blip_words.truth(_subject(path.with_suffix(".txt").read_text()))) for path in paths
    ]


def _subject(caption: str) -> Subject:
    """`zibo, a photo of a man, smiling, on a beach`: what differs between the pictures, read from their captions."""
    scene = next(name for words, name in SCENE_OF.items() if words in caption)
    mood = next((mood for mood in descriptions.EXPRESSIONS if mood in caption), "neutral")
    return descriptions.as_character(scene, mood)


def said(captioner: Captioner, pictures: Sequence[tuple[Shown, dict[str, str]]]) -> list[str]:
    texts: list[str] = []
    for at in range(0, len(pictures), BATCH):
        texts += captioner.caption([shown for shown, _ in pictures[at : at + BATCH]])
    return texts


def scored(texts: Sequence[str], truths: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Shares in 0..1: of what was named, what is true; of what is there, what was named; by attribute as well."""
    named, true, there, found = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for text, truth in zip(texts, truths, strict=True):
        told = blip_words.named(text)
        for name, value in told.items():
            named[name] += 1
            true[name] += truth.get(name) == value
        for name in truth:
            there[name] += 1
            found[name] += name in told
    by_attribute = {
        name: {
            "named": named[name],
            "true": round(true[name] / named[name], 4) if named[name] else None,
            "present": there[name],
            "found": round(found[name] / there[name], 4) if there[name] else None,
        }
        for name in sorted(named.keys() | there.keys())
    }
    return {
        "pictures": len(texts),
        "true_of_named": round(true.total() / max(1, named.total()), 4),
        "named_of_present": round(found.total() / max(1, there.total()), 4),
        "by_attribute": by_attribute,
    }


def faults(text: str, truth: dict[str, str]) -> list[str]:
    """What is wrong with a caption of the character: what is needed and missing, and whatever was invented. That the
    mohawk is called green hair is none."""
    told = blip_words.named(text)
    missing = [f"no {name}" for name in NEEDED if name not in told]
    return missing + [f"{name}: {value}" for name, value in told.items() if truth.get(name) != value]


def measure(captioner: Captioner, pictures: int = PICTURES) -> dict[str, Any]:
    world, character = held_out(pictures), of_the_character()
    began = time.monotonic()
    texts = said(captioner, world)
    seconds = (time.monotonic() - began) / len(world)
    answer = scored(texts, [truth for _, truth in world]) | {"seconds_each": round(seconds, 4)}
    texts_of_character = said(captioner, character)
    rows = [
        {"picture": shown.path.name, "caption": text, "faults": faults(text, truth)}
        for (shown, truth), text in zip(character, texts_of_character, strict=True)
    ]
    right = sum(not row["faults"] for row in rows)
    answer["character"] = {
        "pictures": len(rows),
        "right": right,
        "share": round(right / len(rows), 4),
        "faults": dict(Counter(fault for row in rows for fault in row["faults"]).most_common()),
        "captions": rows,
    }
    answer["captions"] = [{"caption": t, "truth": truth} for t, (_, truth) in zip(texts, world, strict=True)]
    return answer


def table(answer: dict[str, Any]) -> str:
    lines = [f"{'attribute':<14}{'named':>7}{'true':>8}{'present':>9}{'found':>8}"]
    for name, row in answer["by_attribute"].items():
        lines.append(f"{name:<14}{row['named']:>7}{_share(row['true']):>8}{row['present']:>9}{_share(row['found']):>8}")
    character = answer["character"]
    lines += [
        "",
        f"{answer['pictures']} held-out pictures: {answer['true_of_named']:.1%} of what is named is true (goal "
        f"{GOAL:.0%}), {answer['named_of_present']:.1%} of what is there is named; {answer['seconds_each']:.2f} s each",
        f"The character: {character['right']} of {character['pictures']} right, {character['share']:.1%} (goal "
        f"{CHARACTER_GOAL:.0%})",
        *(f"  {count:>3} × {fault}" for fault, count in character["faults"].items()),
    ]
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def captioner_for(options: CaptioningOptions) -> Captioner:
    found = find(options.model)
    return load(found, options, device_for(found, options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MICRO_FOLDER)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="over the captioner's own")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--captions", action="store_true", help="print what is said of the character")
    given = parser.parse_args()
    pairs = [pair.partition("=") for pair in given.set]
    over = {name: parse_job_text("captioning", name, text) for name, _, text in pairs}
    options = captioning(ASKED, {"model": str(given.model.absolute()), "device": "cpu"}, over)
    answer = measure(captioner_for(options), given.pictures)
    print(table(answer))
    if given.captions:
        for row in answer["character"]["captions"]:
            print(f"{row['picture']}: {row['caption']}  {'; '.join(row['faults'])}")
    if given.json is not None:
        given.json.write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
