"""The LoRAs of a project: which there are, what their files say of themselves, and drawing with and without one."""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.plan.byte_counts import size
from engine.plan.errors import UserError, inert
from engine.plan.export import file_stem
from engine.plan.lora_formats import FORMATS
from engine.plan.prompt_files import expanded
from engine.plan.safetensors_header import read_header
from engine.plan.sample_prompts import guide_prompt, has_own_seed
from engine.plan.sample_prompts import parse as parse_prompt
from engine.runs.folder import RunFolder, create
from lora_tui.draft import Draft
from lora_tui.follow import project_job, start

FIRST_SEED = 42


def loras_of(folder: Path) -> list[Path]:
    """The LoRAs in a project's model folder, oldest first."""
    with contextlib.suppress(OSError):
        found = [path for path in folder.glob("*.safetensors") if path.is_file() and not path.name.startswith(".")]
        return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))
    return []


def facts_of(path: Path) -> str:
    """Epoch, step and size of a LoRA."""
    facts: dict[str, str] = {}
    with contextlib.suppress(UserError, OSError):
        facts = read_header(path)[1]
    epoch, step = facts.get("ss_epoch", ""), facts.get("ss_steps", "")
    known = f"epoch {epoch}, step {step}   " if epoch and step else ""
    with contextlib.suppress(OSError):
        known += size(path.stat().st_size)
    return inert(known)


def first_prompt(draft: Draft) -> str:
    """The project's first sample prompt, or else the guide's."""
    prompts, project = draft.value("sample_prompts"), draft.project
    if isinstance(prompts, list | tuple) and prompts:
        with contextlib.suppress(UserError):  # of a file of prompts, which the checks tell of
            return expanded([str(prompts[0])], project.path)[0]
    return guide_prompt(project.trigger, project.class_name) if project.class_name else project.trigger


def prompt_of(text: str) -> str:
    """A prompt that was typed. Raises UserError where it cannot be drawn."""
    parse_prompt(text)
    return text


def seed_of(text: str) -> int:
    """A seed that was typed. Raises UserError where it is none."""
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    raise UserError("bad-value", "A seed is a whole number of at most 18 digits, such as 42.")


def weight_of(text: str) -> float:
    """The weight of a LoRA that was typed. Raises UserError where it is none."""
    with contextlib.suppress(ValueError):
        if -2 <= (weight := float(text)) <= 2:
            return weight
    raise UserError("bad-value", "The weight is a number from -2 to 2.")


def start_comparison(draft: Draft, lora: Path, prompt: str, seed: int, weight: float) -> RunFolder:
    """Have an engine draw the prompt without and with the LoRA; a seed that the prompt itself asks for goes before
    `seed`. Raises UserError as `follow.start` does."""
    seeds = None if has_own_seed(prompt) else [seed]
    arguments = {"prompts": [prompt], "seeds": seeds, "weights": [0.0, weight], "lora": str(lora)}
    job = project_job("compare", draft.project, draft.settings(), "auto", **arguments)
    run = create(draft.project.runs_dir, job)
    start(run)
    return run


def name_of_copy(text: str) -> str:
    """A name for the copy of a LoRA; "" for its own. Raises UserError where a file cannot be called so."""
    return file_stem(Path(text), text) if text else ""


def format_of(text: str) -> str:
    """A format that was typed. Raises UserError where there is none of the name."""
    if text.strip().lower() in FORMATS:
        return text.strip().lower()
    raise UserError("bad-value", f"The format is {' or '.join(FORMATS)}.")
