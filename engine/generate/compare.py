"""The comparison job: the same prompts and seeds at several strengths of a LoRA, 0 being the base model alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from engine import device as devices
from engine.context import JobContext
from engine.generate.sheets import comparison, save_png
from engine.generate.studio import Studio
from engine.lora import weights
from engine.plan import sample_prompts
from engine.plan.base_model import recognise
from engine.plan.errors import UserError, plural
from engine.plan.objective import as_trained
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.vae import recognise_vae


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `lora` (path), `prompts` (kohya lines; empty: one from trigger and class), `seeds`
    (for lines without one of their own), `weights`. The result names the sheet and each picture's facts."""
    job = context.job
    assert job.settings is not None
    base = as_trained(recognise(job.settings.pretrained_model_name_or_path), job.settings)
    device = devices.choose(job.device, full_size=base.size == "sdxl")
    lora_path = Path(job.arguments["lora"])
    file = weights.read(lora_path)
    context.announce(devices.describe(device))
    width, height = job.settings.size
    default = sample_prompts.default_prompt(
        base.size, width, height, sample_prompts.UNSAID, job.settings.sample_sampler
    )
    trigger = job.trigger or file.metadata.get("modelspec.trigger_phrase", "")
    lines = list(job.arguments.get("prompts") or []) or [sample_prompts.guide_prompt(trigger, job.class_name)]
    seeds = [int(s) for s in job.arguments.get("seeds") or [42, 43, 44, 45]]
    strengths = [float(w) for w in job.arguments.get("weights") or [0.0, 1.0]]
    asked = _asked(lines, default, seeds, given=bool(job.arguments.get("seeds")))
    asked = [sample_prompts.seeded(one, seeds[0], 0, number, context.run.name) for number, one in enumerate(asked)]

    cache = (job.project or context.run.path) / "cache"
    vae = recognise_vae(job.settings.vae) if job.settings.vae else None
    studio = Studio(context, base, device, cache, vae)
    studio.wear(file)
    columns: list[list[Image.Image]] = []
    for strength in strengths:
        pictures = studio.pictures(asked, strength, f"making pictures at LoRA weight {strength:g}")
        for number, (prompt, picture) in enumerate(zip(asked, pictures, strict=True)):
            path = context.run.samples_dir / f"{len(columns):02d}_{number:03d}_{prompt.seed}.png"
            save_png(picture, path)
            context.emit("sample", step=0, path=path, prompt=prompt.prompt, seed=prompt.seed, weight=strength)
        columns.append(pictures)
    names = ["without" if s == 0 else "with" if s == 1 else f"weight {s:g}" for s in strengths]
    sheet = comparison(
        list(zip(*columns, strict=True)),
        names,
        [f"{p.prompt}  (seed {p.seed})" for p in asked],
        f"{lora_path.stem}: without and with the LoRA",
    )
    path = context.run.output_dir / "comparison.png"
    save_png(sheet, path)
    return {
        "sheet": str(path),
        "prompts": lines,
        "seeds": list(dict.fromkeys(prompt.seed for prompt in asked)),
        "weights": strengths,
        "message": f"{plural(len(asked), 'pair')} of pictures in {path.name}.",
        "complete": True,
    }


def _asked(lines: list[str], default: SamplePrompt, seeds: list[int], *, given: bool) -> list[SamplePrompt]:
    """Each line with its own seed, or with each of `seeds`. Raises UserError where seeds were `given` beside one."""
    asked: list[SamplePrompt] = []
    for line in lines:
        prompt = sample_prompts.parse(line, default)
        if prompt.seed == sample_prompts.UNSAID:
            asked += [replace(prompt, seed=seed) for seed in seeds]
        elif given:
            raise UserError(
                "two-seeds", f'The prompt "{line}" has a seed of its own, and --seed gives another.', "Leave one out."
            )
        else:
            asked.append(prompt)
    return asked
