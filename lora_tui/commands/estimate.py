"""`lora-tui estimate`: whether a training fits on a GPU, how long it takes, and what to change."""

from __future__ import annotations

import click

from engine.plan.errors import UserError
from lora_tui import output
from lora_tui.options import json_option, open_project, set_option


@click.command("estimate")
@click.argument("directory", metavar="DIR")
@click.option(
    "--gpu", "gpu_name", default=None, metavar="NAME", help='Plan for another GPU, e.g. --gpu "RTX 3060 12GB".'
)
@set_option
@json_option
def command(directory: str, gpu_name: str | None, sets: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """How much GPU memory the training of project DIR takes, and whether it fits; how long it takes; what to change.

    Held against this machine's GPU, or the one that is planned for in the app, or --gpu.
    """
    from engine.plan.base_model import recognise
    from engine.plan.dataset import scan
    from engine.plan.gpu_catalogue import named
    from engine.plan.measured import keep_measures, kept_measures
    from lora_tui.estimate_texts import lines
    from lora_tui.estimating import estimate_of

    # First: a mistyped name is told before a disk is read.
    gpu = named(gpu_name).as_gpu() if gpu_name is not None else None
    project, settings = open_project(directory, sets)
    chosen = settings.pretrained_model_name_or_path  # none is chosen yet: full size is meant
    base = recognise(chosen, project.path) if chosen else None
    dataset = None
    try:
        measures = kept_measures(project)
        dataset = scan(project, settings, measure=measures)
        keep_measures(project, measures)
    except UserError as error:
        if not as_json:
            output.tell(f"Without the pictures, so for the resolution that is set: {error}")
    found = estimate_of(project, settings, dataset, base, gpu)
    if found is None:
        raise UserError(
            "practice-model",
            "The practice model is so small that it trains anywhere, and its memory is not estimated.",
            'To plan for the real thing: add --set pretrained_model_name_or_path="" or choose an SDXL model.',
        )
    if as_json:
        output.answer(found.as_json())
        return
    for text in lines(found):
        output.say(text)
