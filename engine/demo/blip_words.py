"""What the micro BLIP sees and says: the little world with more colours than the base model knows, each picture's whole
description in a fixed order, and the vocabulary of those words.

Why more colours: a captioner that has only met brown hair and tan skin calls a purple face a hat. The demo's character
itself (purple skin under a mohawk, with pointed ears) is never among the pictures.
"""

from __future__ import annotations

import random
import string
from dataclasses import replace

from engine.demo import descriptions
from engine.demo.pictures import COLOURS, HAIR, SKIN, Subject

ODD_SKINS = tuple(name for name in SKIN if name not in ("light", "tan", "dark"))

MOODS = {
    "smiling": "with a smiling face",
    "sad": "with a sad face",
    "surprised": "with a surprised face",
    "neutral": "with a calm face",
}
SCENES = {
    "beach": "on a beach with yellow sand and a blue sea",
    "forest": "in a forest with green trees and grass",
    "night": "at night with a bright moon and small stars",
    "snow": "in the snow with white flakes in the air",
    "city": "in a city with tall houses and lit windows",
    "pink": "on a plain pink background",
    "grey": "on a plain grey background",
    "yellow": "on a plain yellow background",
}
PROMPTS = ("a picture of", "a photo of", "a photograph of", "an image of", "there is", "a drawing of")
PROMPT = PROMPTS[0]

EVERYDAY = """
    the of two one three person people boy girl child animal hair eyes nose mouth beard head standing sitting looking
    at front side close up view wearing has is are it this that there photo picture image drawing photograph portrait
    painting art style cartoon robot metal tree sky sun rain day street house room wall happy angry short long small
    big old young his her and an
"""
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
START, IMAGE_TEXT = "[DEC]", "[ENC]"


def is_the_character(s: Subject) -> bool:
    return s.skin == "purple" and s.mohawk and s.pointed_ears


def random_subject(rng: random.Random, kind: str | None = None) -> Subject:
    """A subject of the wider world; never the demo character."""
    s = descriptions.random_subject(rng, kind)
    if s.kind not in ("man", "woman"):
        return s
    s = replace(
        s,
        hair=rng.choice(tuple(HAIR)),
        shirt=rng.choice(tuple(COLOURS)),
        hat=rng.choice(tuple(COLOURS)) if rng.random() < 0.3 else "none",
        skin=rng.choice(ODD_SKINS) if rng.random() < 0.35 else rng.choice(("light", "tan", "dark")),
        pointed_ears=rng.random() < 0.3,
        mohawk=s.kind == "man" and rng.random() < 0.3,
        beard=s.kind == "man" and rng.random() < 0.3,
    )
    if s.mohawk:
        s = replace(s, hat="none")  # it would not be seen under one
    return random_subject(rng, kind) if is_the_character(s) else s


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _looks(s: Subject) -> str:
    if s.kind == "robot":
        return f"{_article(s.shirt)} {s.shirt} robot with square eyes and an antenna on the head"
    if s.kind in ("cat", "dog"):
        ears = "pointed" if s.kind == "cat" else "hanging"
        return f"{_article(s.fur)} {s.fur} {s.kind} with {s.fur} fur and two {ears} ears"
    hair = (
        f"{_article(s.hair)} {s.hair} mohawk" if s.mohawk else f"{'short' if s.kind == 'man' else 'long'} {s.hair} hair"
    )
    features = [f"{s.skin} skin", hair]
    if s.beard:
        features.append("a beard")
    if s.pointed_ears:
        features.append("pointed ears")
    if s.hat != "none":
        features.append(f"{_article(s.hat)} {s.hat} hat")
    return f"a {s.kind} with {', '.join(features)} and {_article(s.shirt)} {s.shirt} shirt"


def whole_caption(s: Subject) -> str:
    """All that is seen, always in this order, and never under 25 tokens: a captioner that is asked for at least so many
    would else have to invent something."""
    return f"{_looks(s)}, {MOODS[s.expression]}, facing the viewer, {SCENES[s.scene]}"


def named(caption: str) -> dict[str, str]:
    """The attributes that a caption names, read back from its words; what it cannot be read as is left out.

    `hat`, `beard` and people's `ears` are in it only where they are named. `coat` and `animal_ears`: what is said of a
    cat or dog beside its `fur`.
    """
    words = caption.replace(",", " ").split()
    found: dict[str, str] = {}
    kinds = [word for word in words if word in descriptions.KINDS]
    if kinds:
        found["kind"] = kinds[0]
    if found.get("kind") in ("cat", "dog"):
        found["coat"] = words[max(0, words.index(found["kind"]) - 1)]
        if "ears" in words[1:]:
            found["animal_ears"] = words[words.index("ears") - 1]
    for noun, attribute in (
        ("skin", "skin"),
        ("hair", "hair"),
        ("mohawk", "hair"),
        ("shirt", "shirt"),
        ("hat", "hat"),
        ("fur", "fur"),
        ("robot", "metal"),
        ("face", "mood"),
        ("background", "scene"),
    ):
        if noun in words[1:]:
            found[attribute] = words[words.index(noun) - 1]
    if "mohawk" in words:
        found["style"] = "mohawk"
    if "beard" in words:
        found["beard"] = "yes"
    if "pointed" in words and found.get("kind") in ("man", "woman"):
        found["ears"] = "pointed"
    for scene in descriptions.PLACES:
        if scene in words:
            found["scene"] = scene
    return found


def truth(s: Subject) -> dict[str, str]:
    """The attributes of a subject, in the terms of `named`."""
    return named(whole_caption(s))


def vocabulary() -> dict[str, int]:
    """Word to id, for BERT's tokenizer. Words of captions and everyday ones are whole; all else is spelt by letters."""
    texts = [EVERYDAY, *PROMPTS, *MOODS.values(), *SCENES.values(), "facing the viewer", *COLOURS, *HAIR, *SKIN]
    texts += [
        _looks(Subject(kind, "pink", mohawk=odd, beard=True, pointed_ears=True, hat="red"))
        for kind in descriptions.KINDS
        for odd in (False, True)
    ]
    words = sorted({word for text in texts for word in text.replace(",", " ").split()} | set(descriptions.HATS))
    letters = [*string.ascii_lowercase, *string.digits]
    entries = [
        *SPECIALS,
        *string.punctuation,
        *letters,
        *(f"##{letter}" for letter in letters),
        *words,
        START,
        IMAGE_TEXT,
    ]
    return {word: number for number, word in enumerate(dict.fromkeys(entries))}
