"""What may be in a picture of the little world, and how it is put into words.

`random_subject` draws attributes, `caption` describes a random part of them in one of two sentence forms, and
`full_caption` names all of them (the prompts that the model is measured with). No drawing here: that is `pictures`.
"""

from __future__ import annotations

import random

from engine.demo.pictures import Subject

KINDS = ("man", "woman", "cat", "dog", "robot")
HAIR = ("red", "black", "blond", "brown", "blue", "white")
SHIRTS = ("red", "blue", "green", "yellow", "white", "black")
HATS = ("none", "red", "blue", "black")
PLACES = ("beach", "forest", "night", "snow", "city")
WALLS = ("pink", "grey", "yellow")
SCENES = PLACES + WALLS
EXPRESSIONS = ("smiling", "sad", "surprised", "neutral")
CAT_FURS = ("black", "white", "orange", "grey")
DOG_FURS = ("brown", "white", "black", "grey")
METALS = ("red", "blue", "yellow", "grey")

SHAPES = ((96, 96), (80, 112), (112, 80))
"""The bucket shapes (width, height) in px that the model is trained on; its buckets step by 16 px."""

TRIGGER, CLASS = "zibo", "man"
"""The demo character: purple skin, a green mohawk, pointed ears, an orange shirt; the base never saw any of them."""

SCENE_WORDS = {
    "beach": "on a beach",
    "forest": "in a forest",
    "night": "at night",
    "snow": "in the snow",
    "city": "in a city",
    "pink": "on a pink background",
    "grey": "on a grey background",
    "yellow": "on a yellow background",
}


def random_subject(rng: random.Random, kind: str | None = None) -> Subject:
    """A subject of the world the base model knows (never the demo character)."""
    if kind is None:
        kind = rng.choices(KINDS, weights=(36, 32, 10, 10, 12))[0]
    scene = rng.choice(SCENES)
    expression = rng.choice(EXPRESSIONS)
    if kind in ("man", "woman"):
        return Subject(
            kind,
            scene,
            hair=rng.choice(HAIR),
            shirt=rng.choice(SHIRTS),
            hat=rng.choice(HATS[1:]) if rng.random() < 0.36 else "none",
            skin=rng.choices(("light", "tan", "dark"), weights=(45, 30, 25))[0],
            expression=expression,
            beard=kind == "man" and rng.random() < 0.3,
        )
    if kind == "robot":
        return Subject(kind, scene, shirt=rng.choice(METALS), expression="neutral")
    return Subject(kind, scene, fur=rng.choice(CAT_FURS if kind == "cat" else DOG_FURS), expression=expression)


def character(rng: random.Random) -> Subject:
    """The demo character, somewhere, in some mood."""
    return as_character(rng.choice(SCENES), rng.choice(EXPRESSIONS))


def as_character(scene: str, expression: str) -> Subject:
    """The demo character, there and in this mood."""
    return Subject(
        "man",
        scene,
        hair="green",
        shirt="orange",
        skin="purple",
        expression=expression,
        mohawk=True,
        pointed_ears=True,
    )


def pseudo_word(rng: random.Random) -> str:
    """A word that means nothing, so that the base learns to ignore an unknown trigger word."""
    consonants, vowels = "bcdfghjklmnprstvwxz", "aeiouy"
    word = "".join(rng.choice(consonants) + rng.choice(vowels) for _ in range(rng.choice((1, 2, 2, 3))))
    word += rng.choice(("", "", "x", "rp", "k"))
    return "zubi" if word == TRIGGER else word


def _features(s: Subject) -> list[str]:
    """The describable attributes apart from kind and scene, as noun phrases for "with ..."."""
    if s.kind not in ("man", "woman"):
        return []
    features = [f"{s.hair} hair", f"a {s.shirt} shirt"]
    if s.hat != "none":
        features.append(f"a {s.hat} hat")
    if s.beard:
        features.append("a beard")
    return features


def _noun(s: Subject, colour: bool) -> str:
    if colour and s.kind in ("cat", "dog"):
        return f"{s.fur} {s.kind}"
    if colour and s.kind == "robot":
        return f"{s.shirt} {s.kind}"
    return s.kind


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _sentence(noun: str, features: list[str], mood: str, scene: str, *, tags: bool, prefix: bool) -> str:
    if tags:
        return ", ".join([noun, *[f.removeprefix("a ") for f in features], *filter(None, [mood, scene])])
    listed = (
        features[0] if len(features) == 1 else ", ".join(features[:-1]) + " and " + features[-1] if features else ""
    )
    text = f"{_article(noun)} {noun}" + (f" with {listed}" if listed else "")
    text = ("a photo of " if prefix else "") + text
    return ", ".join(filter(None, [text, mood, scene])) if mood else " ".join(filter(None, [text, scene]))


def caption(s: Subject, rng: random.Random) -> str:
    """A description that names each attribute with probability 3/4, so that short prompts stay valid."""
    features = [f for f in _features(s) if rng.random() < 0.75]
    rng.shuffle(features)
    mood = s.expression if s.expression != "neutral" and rng.random() < 0.7 else ""
    scene = SCENE_WORDS[s.scene] if rng.random() < 0.8 else ""
    noun = _noun(s, rng.random() < 0.8)
    unknown = pseudo_word(rng) if rng.random() < 0.14 else ""
    before = unknown and rng.random() < 0.6
    if unknown and not before:
        noun = f"{unknown} {noun}"
    text = _sentence(noun, features, mood, scene, tags=rng.random() < 0.25, prefix=rng.random() < 0.85)
    return f"{unknown}, {text}" if before else text


def full_caption(s: Subject) -> str:
    """The prompt that names every attribute, used to measure whether the model obeys."""
    mood = "" if s.expression == "neutral" else s.expression
    return _sentence(_noun(s, True), _features(s), mood, SCENE_WORDS[s.scene], tags=False, prefix=True)


def character_caption(s: Subject) -> str:
    """A caption for a picture of the character, as the guide wants it: the trigger word first, then what varies."""
    mood = "" if s.expression == "neutral" else s.expression
    return f"{TRIGGER}, " + _sentence(CLASS, [], mood, SCENE_WORDS[s.scene], tags=False, prefix=True)
