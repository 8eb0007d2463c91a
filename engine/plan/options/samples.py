"""Pictures that are drawn on the way."""

from __future__ import annotations

from pydantic import field_validator

from engine.plan.errors import UserError
from engine.plan.option import OptionGroup, option
from engine.plan.sample_prompts import parse as parse_prompt
from engine.plan.samplers import DEFAULT
from engine.plan.samplers import find as find_sampler
from engine.plan.samplers import names as sampler_names


class SampleOptions(OptionGroup):
    """Pictures that are drawn on the way."""

    # fmt: off
    sample_every_n_steps: int = option(
        250, "Sample every n steps", "Samples",
        "Draws a picture with the LoRA so far after every n steps, so that you see it learn; 0 draws none.",
        usual="100 to 500", guide="250", limits=(0, 10_000_000),
        page="samples", words="preview pictures time", step=50,
    )
    sample_every_n_epochs: int = option(
        0, "Sample every n epochs", "Samples",
        "Draws the pictures after every n-th epoch, instead of after every n steps; 0 goes by the steps.",
        usual="0 or 1", guide="not set", limits=(0, 100_000),
        page="samples", words="preview pictures time",
    )
    sample_at_first: bool = option(
        False, "Sample before training", "Samples",
        "Also draws the pictures before training starts, which shows what the base model does with the words alone.",
        usual="off", guide="off",
        page="samples", words="preview pictures",
    )
    sample_prompts: tuple[str, ...] = option(
        (), "Prompts for samples", "Samples",
        "What the samples show, with \" | \" between two prompts; --w, --h, --d (seed), --s (steps), --l (guidance), "
        "--ss (sampler) and --n (negative prompt) may follow each. A path ending in .txt, .toml or .json is read as "
        "sd-scripts' file of prompts. Left empty: TRIGGER, a photo of a CLASS.",
        usual="1 to 4 prompts", guide="your trigger word, a photo of a man.",
        page="samples", words="preview pictures trigger file txt toml json",
    )
    sample_sampler: str = option(
        DEFAULT, "Sampler for samples", "Samples",
        "How a sample gets from noise to a picture. It touches only what you see, never what is learnt; take the one "
        "that you will draw with to see the same. Those with \"a\" or SDE add new noise at every step.",
        usual="euler, euler_a or DPM++ 2M Karras", guide="not set",
        page="samples", words="sampler scheduler euler ancestral dpm karras ddim preview",
        known=sampler_names(), otherwise="another name of one of these, such as A1111's \"Euler a\"",
    )
    # fmt: on

    @field_validator("sample_prompts", mode="before")
    @classmethod
    def _prompt_lines(cls, value: object) -> object:
        """A list of prompts, or one text with a prompt a line; `#` starts a comment line, as in sd-scripts' file."""
        lines = value.splitlines() if isinstance(value, str) else value
        if isinstance(lines, list | tuple) and all(isinstance(line, str) for line in lines):
            return tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
        return tuple(lines) if isinstance(lines, list) else lines

    @field_validator("sample_sampler")
    @classmethod
    def _known_sampler(cls, value: str) -> str:
        try:
            return find_sampler(value).name
        except UserError as error:
            raise UserError("bad-value", f"sample_sampler: {error.message}", error.hint) from None

    @field_validator("sample_prompts")
    @classmethod
    def _readable_prompts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            parse_prompt(line)
        return value
