"""What regularisation pictures are made with: the options of the job `regularise`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import field_validator

from engine.plan.errors import UserError
from engine.plan.option import OptionGroup, option
from engine.plan.option_values import parse_resolution
from engine.plan.sample_prompts import MAX_GUIDANCE, MAX_SIDE, MAX_STEPS
from engine.plan.samplers import find as find_sampler
from engine.plan.samplers import names as sampler_names

CLASS = "CLASS"
"""What stands in a prompt for the word of the class, so that one prompt does for several classes."""
ENOUGH, ALL = "enough", "all"
AUTOMATIC = "automatic"
"""The captions that a captioner writes, once the pictures are made."""
MOST = 100_000
SMALLEST_SIDE = 64
GUIDES_NEGATIVE = (
    "nude, nsfw, topless, canvas frame, (high contrast:1.2), (over saturated:1.2), (glossy:1.1), cartoon, 3d, "
    "((disfigured)), ((bad art)), ((b&w)), blurry, ((bad anatomy)), (((bad proportions))), ((extra limbs)), cloned "
    "face, (((disfigured))), extra limbs, (bad anatomy), gross proportions, (malformed limbs), ((missing arms)), "
    "((missing legs)), (((extra arms))), (((extra legs))), mutated hands, (fused fingers), (too many fingers), "
    "(((long neck))), Photoshop, video game, ugly, tiling, poorly drawn hands, 3d render"
)
SUITED: Mapping[str, Mapping[str, object]] = {
    "sdxl": {},
    "micro": {"prompt": "a photo of a CLASS", "negative_prompt": "", "guidance": 3.0, "batch_size": 8},
}
"""By size of the base model, what suits it better than the guide's values: the practice model knows few words, and
burns at the guidance of SDXL."""


class RegularisingOptions(OptionGroup):
    """In the order of a form."""

    # fmt: off
    count: str = option(
        ENOUGH, "How many", "Pictures",
        "How many regularisation pictures there are to be in the end, with those that are there already. enough: so "
        "many that none is seen more than four times an epoch; all: as many as your own with their repeats, as the "
        "guide has it.",
        usual="enough", guide="all",
        words="amount number target repeats", known=(ENOUGH, ALL), otherwise="a whole number", step=50,
    )
    prompt: str = option(
        "A CLASS, 4k, ultra detailed, masterpiece", "Prompt", "Pictures",
        "What is drawn. CLASS stands for the word of the class. Keep it plain: these pictures show what the word means "
        "to the model now, and that is what stays.",
        usual="A CLASS, 4k, ultra detailed, masterpiece", guide="A man, 4k, ultra detailed, masterpiece",
        words="words text description",
    )
    negative_prompt: str = option(
        GUIDES_NEGATIVE, "Negative prompt", "Pictures",
        "What is not to be drawn. (word:1.2) weighs more, ((word)) a little more, as in A1111.",
        usual="the guide's list", guide="nude, nsfw, topless, canvas frame, …",
        words="avoid without weights",
    )
    sampler: str = option(
        "euler_a", "Sampler", "Pictures",
        "How a picture comes out of noise. euler_a adds new noise at every step, so pictures differ more.",
        usual="euler_a", guide="Euler a",
        words="scheduler euler ancestral dpm karras", known=sampler_names(),
        otherwise="another name of one of these, such as A1111's \"Euler a\"",
    )
    steps: int = option(
        20, "Steps", "Pictures",
        "How many times a picture is cleaned of noise. Twice as many take twice as long.",
        usual="20 to 30", guide="20", limits=(1, MAX_STEPS),
    )
    guidance: float = option(
        7.0, "Guidance (CFG)", "Pictures",
        "How closely the prompt is followed. High values burn the colours; 1 takes no notice of the negative prompt.",
        usual="5 to 8", guide="7", limits=(0.0, MAX_GUIDANCE), words="cfg scale", step=0.5,
    )
    resolution: str = option(
        "", "Size", "Pictures",
        "Width,height in pixels. Left empty they are as large as what is trained, which is best.",
        usual="empty", guide="1024,1024", words="width height pixels",
    )
    batch_size: int = option(
        2, "Pictures at once", "Pictures",
        "How many pictures are drawn together. More is a little faster and takes more memory; where the memory is too "
        "small it is halved by itself.",
        usual="1 to 4", guide="2", limits=(1, 64), words="memory vram oom",
    )
    seed: int = option(
        1, "First seed", "Pictures",
        "The first picture has this seed, the next one the next: the same seed gives the same picture again.",
        usual="1", guide="random", limits=(0, 2**32 - 1 - MOST),
    )
    captions: Literal["class", "prompt", "automatic", "none"] = option(
        "class", "Captions for them", "Pictures",
        "class: the class alone. prompt: the words they were drawn with. automatic: a captioner describes each once "
        "all are there. none: no files; the name of the folder stands in, which is the class again.",
        usual="class", guide="none: man, from the folder 1_man",
    )
    # fmt: on

    @field_validator("count", mode="before")
    @classmethod
    def _number(cls, value: object) -> str:
        value = str(value)
        if value in (ENOUGH, ALL):
            return value
        if value.isascii() and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= MOST:
            return str(int(value))
        raise UserError("bad-value", f"count must be {ENOUGH}, {ALL} or a whole number from 1 to {MOST:,}.")

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return " ".join(value.split())

    @field_validator("prompt")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value:
            raise UserError("bad-value", "prompt must not be empty.", f"The guide's is: A {CLASS}, 4k, …")
        return value

    @field_validator("sampler")
    @classmethod
    def _known_sampler(cls, value: str) -> str:
        return find_sampler(value).name

    @field_validator("resolution")
    @classmethod
    def _size(cls, value: str) -> str:
        if value and not all(SMALLEST_SIDE <= side <= MAX_SIDE for side in parse_resolution(value)):
            raise UserError("bad-value", f"resolution must be from {SMALLEST_SIDE} to {MAX_SIDE} pixels a side.")
        return value

    def size(self, trained: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the pictures in px, multiples of 8; `trained`: what the training's resolution is."""
        width, height = parse_resolution(self.resolution) if self.resolution else trained
        return width // 8 * 8, height // 8 * 8

    def prompt_for(self, class_name: str) -> str:
        """The prompt for pictures of a class: `A CLASS, 4k` → `A man, 4k`, `An elephant, 4k`."""
        article = "n" if class_name[:1].lower() in tuple("aeiou") else ""
        return re.sub(rf"(\b[Aa])( {CLASS}\b)", rf"\1{article}\2", self.prompt).replace(CLASS, class_name)
