"""`lora-tui compare`: the same prompts and seeds without and with a LoRA, on one labelled sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.plan.errors import UserError
from engine.plan.files import absolute_path
from lora_tui import output
from lora_tui.options import device_option, json_option, open_project, overrides, set_option

if TYPE_CHECKING:
    from engine.plan.project import Project
    from engine.runs.job import Job


@click.command("compare")
@click.argument("what", metavar="DIR|LORA")
@click.option("--prompt", "prompts", multiple=True, help="What to draw. May be given several times.")
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    type=click.IntRange(0, 2**63 - 1),
    help="For prompts without --d. May be repeated.",
)
@click.option("--weight", "weights", multiple=True, type=click.FloatRange(-10, 10), help="0 is without the LoRA.")
@set_option
@device_option
@json_option
def command(
    what: str,
    prompts: tuple[str, ...],
    seeds: tuple[int, ...],
    weights: tuple[float, ...],
    sets: tuple[tuple[str, str], ...],
    device: str,
    as_json: bool,
) -> None:
    """Show the newest LoRA of the project DIR, or the file LORA, beside the base model alone."""
    from engine.runs.folder import create
    from lora_tui.follow import run_job

    arguments = {"prompts": list(prompts), "seeds": list(seeds), "weights": list(weights)}
    runs_dir, job = _job(what, sets, device, {name: value for name, value in arguments.items() if value})
    run = create(runs_dir, job)
    outcome = run_job(run, job.name)
    result = outcome.done().result()
    sheet = run.absolute(str(result.get("sheet", "")))
    if as_json:
        output.answer({"sheet": sheet} | {name: result.get(name) for name in ("prompts", "seeds", "weights")})
        return
    output.say(f"Sheet  {sheet}")


def _job(what: str, sets: tuple[tuple[str, str], ...], device: str, arguments: dict[str, Any]) -> tuple[Path, Job]:
    """(the folder of runs, the job) for a project or a LoRA file."""
    from engine.runs.job import Job
    from lora_tui.follow import project_job, with_absolute_paths
    from lora_tui.outside import cached_runs_dir, existing_lora, project_of

    given = absolute_path(what)
    if given.is_dir() or not given.suffix:
        project, settings = open_project(what, sets)
        lora = _newest_lora(project)
    else:
        lora = existing_lora(what)
        home = project_of(lora)
        if home is None:
            from engine.plan.settings import resolve

            settings = resolve(overrides(sets))
            if not settings.pretrained_model_name_or_path:
                raise UserError(
                    "no-base-model",
                    f"{lora.name} lies in no project, so its base model is not known.",
                    "Add --set pretrained_model_name_or_path=FILE, the model that the LoRA was trained on.",
                )
            settings = with_absolute_paths(settings, None)
            arguments = {"lora": str(lora)} | arguments
            job = Job("compare", None, lora.stem, settings=settings, device=device, arguments=arguments)
            return cached_runs_dir(), job
        project, settings = open_project(str(home), sets)
    return project.runs_dir, project_job("compare", project, settings, device, lora=str(lora), **arguments)


def _newest_lora(project: Project) -> Path:
    found = sorted(project.model_dir.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError("no-lora", f"{project.model_dir} holds no LoRA yet.", "Train one first: lora-tui train.")
    return found[-1]
