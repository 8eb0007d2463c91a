"""Does the demo LoRA work? Measured on generated pictures against held-out pictures of the character.

Distance: each generated picture, as 24 x 24 colour means, to the nearest of 16 held-out pictures of the character that
were never trained on (root mean square, 0..1). "truth" is the same for the training pictures: the best one can reach.
The gap closed is how far the LoRA moved the base model from its own distance to the truth's. The leak is the same share
for prompts without the trigger word ("a photo of a man …"): 0 means that a plain man stays a plain man.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine import device as devices
from engine.context import JobContext
from engine.demo.descriptions import TRIGGER
from engine.generate.sheets import comparison, save_png
from engine.generate.studio import Studio
from engine.lora import weights
from engine.plan.base_model import recognise
from engine.plan.objective import as_trained
from engine.plan.sample_prompts import SamplePrompt, default_prompt

FIRST_SEED = 1000
ROWS_SHOWN = 6
GRID = 24
CONTROLS = (
    "a photo of a man in a forest",
    "a photo of a woman with red hair on a beach",
    "a photo of an orange cat in the snow",
)


@dataclass(frozen=True)
class Distance:
    """Mean distances to the character (see above), and the share of the gap that the LoRA closed (1 = all of it)."""

    without: float
    with_lora: float
    truth: float

    @property
    def gap_closed(self) -> float:
        return (self.without - self.with_lora) / (self.without - self.truth)

    def as_json(self) -> dict[str, float]:
        return {
            "without": round(self.without, 4),
            "with": round(self.with_lora, 4),
            "truth": round(self.truth, 4),
            "gap_closed": round(self.gap_closed, 4),
        }


def held_out_folder() -> Path:
    return Path(str(files("engine"))) / "demo" / "project" / "held_out"


def read_pictures(folder: Path) -> tuple[list[Image.Image], list[str]]:
    """The pictures of a folder with their captions, by name."""
    paths = sorted(folder.glob("*.png"))
    captions = [p.with_suffix(".txt").read_text(encoding="utf-8").strip() for p in paths]
    return [Image.open(p).convert("RGB") for p in paths], captions


def colour_grid(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(24 * 24 * 3,) in 0..1."""
    small = picture.resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).ravel() / np.float32(255)


def distance_to(pictures: Sequence[Image.Image], references: Sequence[Image.Image]) -> float:
    """Mean over `pictures` of the RMS distance to the nearest of `references`."""
    grid = np.stack([colour_grid(r) for r in references])
    nearest = [float(np.sqrt(((grid - colour_grid(p)) ** 2).mean(axis=1)).min()) for p in pictures]
    return float(np.mean(nearest))


def plain(caption: str) -> str:
    """A caption of the character without its trigger word."""
    return caption.removeprefix(f"{TRIGGER}, ")


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `lora` and, where given, `lora_without_reg`, paths of LoRAs of the demo project; `weight`,
    the strength at which `lora` is tried (1 unless said).
    """
    job = context.job
    assert job.project is not None
    assert job.settings is not None
    base = as_trained(recognise(job.settings.pretrained_model_name_or_path), job.settings)
    device = devices.choose(job.device, full_size=False)
    context.announce(devices.describe(device))
    references, captions = read_pictures(held_out_folder())
    training = [Image.open(p).convert("RGB") for p in sorted((job.project / "img").glob("*/*.png"))]

    def asked(texts: Sequence[str]) -> list[SamplePrompt]:
        default = default_prompt(base.size, 96, 96, FIRST_SEED)
        return [replace(default, prompt=text, seed=FIRST_SEED + n) for n, text in enumerate(texts)]

    character, men, controls = asked(captions), asked([plain(c) for c in captions]), asked(CONTROLS)
    studio = Studio(context, base, device, job.project / "cache")
    without = studio.pictures([*character, *men, *controls], 0.0, "making pictures without the LoRA")
    studio.wear(weights.read(Path(job.arguments["lora"])))
    strength = float(job.arguments.get("weight", 1.0))
    worn = studio.pictures([*character, *men, *controls], strength, "making pictures with the LoRA")
    n = len(captions)
    truth = distance_to(training, references)
    distance = Distance(distance_to(without[:n], references), distance_to(worn[:n], references), truth)
    man_without = distance_to(without[n : 2 * n], references)
    leak = {"with_reg": Distance(man_without, distance_to(worn[n : 2 * n], references), truth).gap_closed}
    if "lora_without_reg" in job.arguments:
        studio.wear(weights.read(Path(job.arguments["lora_without_reg"])))
        leaking = studio.pictures(men, 1.0, "making pictures with the LoRA that had no regularisation pictures")
        leak["without_reg"] = Distance(man_without, distance_to(leaking, references), truth).gap_closed

    shown = [*range(ROWS_SHOWN), *range(2 * n, 2 * n + len(controls))]
    prompts = [*character, *men, *controls]
    sheet = comparison(
        [(without[i], worn[i]) for i in shown],
        ["without", "with"],
        [f"{prompts[i].prompt}  (seed {prompts[i].seed})" for i in shown],
        "The same prompts and seeds",
    )
    path = context.run.output_dir / "comparison.png"
    save_png(sheet, path)
    return {
        "sheet": str(path),
        "distance": distance.as_json(),
        "leak": {name: round(value, 4) for name, value in leak.items()},
        "message": f"The LoRA closed {distance.gap_closed:.0%} of the gap to the character.",
        "complete": True,
    }
