"""How a picture was drawn, as A1111 writes it into a PNG's text chunk `parameters`; its "PNG Info" reads it again.

A prompt, a line `Negative prompt: …`, and a last line of `Name: value` pairs (A1111: `create_infotext`,
`parse_generation_parameters`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from PIL import Image

from engine.plan.sample_prompts import SamplePrompt

CHUNK = "parameters"
PROGRAM = "lora-tui"
_A1111 = {
    "euler": "Euler", "euler_a": "Euler a", "ddim": "DDIM", "pndm": "PLMS", "lms": "LMS", "heun": "Heun",
    "dpm_2": "DPM2", "dpm_2_a": "DPM2 a", "dpmsolver++": "DPM++ 2M",
}  # fmt: skip
"""Samplers whose names there are other ones."""
_SEED = re.compile(r"(?:^|, )Seed: (\d{1,20})(?:,|$)")


def parameters(asked: SamplePrompt, model: str) -> str:
    """The text for a picture; `model`: the base model's name, without any path."""
    negative = f"\nNegative prompt: {asked.negative}" if asked.negative else ""
    facts = {
        "Steps": asked.steps,
        "Sampler": _A1111.get(asked.sampler, asked.sampler),
        "CFG scale": asked.guidance,
        "Seed": asked.seed,
        "Size": f"{asked.width}x{asked.height}",
        "Model": _quoted(model),
        "Version": PROGRAM,
    }
    return f"{asked.prompt}{negative}\n" + ", ".join(f"{name}: {value}" for name, value in facts.items())


def seed_of(text: str) -> int | None:
    """The seed that a text names; None where there is none."""
    found = _SEED.search(text.rstrip().rpartition("\n")[2])
    return int(found[1]) if found else None


def read(path: Path) -> str:
    """What a picture's file says of how it was drawn; "" where it says nothing, or cannot be read."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            text = picture.info.get(CHUNK, "")  # what stands before the pixels, so nothing is decoded
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    return text if isinstance(text, str) else ""


def _quoted(value: str) -> str:
    """As A1111 does: commas and colons would end a value."""
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",:\n") else value
