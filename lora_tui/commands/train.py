"""`lora-tui train`: start a training in an engine of its own, and follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from engine.plan.errors import UserError
from lora_tui import output
from lora_tui.options import device_option, json_option, open_project, set_option

if TYPE_CHECKING:
    from engine.plan.project import Project
    from engine.plan.settings import Settings
    from engine.runs.folder import RunFolder
    from lora_tui.follow import Outcome


@click.command("train")
@click.argument("directory", metavar="DIR")
@set_option
@click.option("--detach", is_flag=True, help="Start it and return at once.")
@click.option("--accept-warnings", is_flag=True, help="Train even where a warning says that it will not work.")
@device_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    directory: str,
    sets: tuple[tuple[str, str], ...],
    detach: bool,
    accept_warnings: bool,
    device: str,
    as_json: bool,
) -> None:
    """Train the project DIR.

    The training runs in a program of its own: closing the terminal leaves it alone. Ctrl-C asks it to save and stop.
    """
    from lora_tui import recent
    from lora_tui.follow import run_job, start

    project, settings = open_project(directory, sets)
    total_steps = refuse_or_tell(project, settings, accept_warnings)
    recent.remember(project.path)
    run = new_run(project, settings, device)
    if detach:
        pid = start(run)
        _started(run, pid, total_steps, as_json)
        return
    output.tell(f"Run {run.name}. Closing this terminal leaves it alone; Ctrl-C asks it to save and stop.")
    outcome = run_job(run, project.name)
    if as_json:
        output.answer(as_object(outcome))
    else:
        print_result(outcome)
    context.exit(outcome.exit_code)


def refuse_or_tell(project: Project, settings: Settings, accept_warnings: bool) -> int:
    """Check before anything is started; the number of steps to come.

    Says on stderr what is worth saying. Raises UserError with the line that mends it where training would be in vain.
    """
    from engine.plan.base_model import recognise
    from engine.plan.checks import check_settings
    from engine.plan.dataset import scan

    if settings.pretrained_model_name_or_path:
        recognise(settings.pretrained_model_name_or_path, project.path)  # before hundreds of pictures are read
    dataset = scan(project, settings)
    found = [*dataset.findings, *check_settings(settings, dataset, project)]
    for finding in found:
        if finding.stops_training(accept_warnings=accept_warnings):
            error = finding.as_error()
            # In brackets: a hint may end in a command, to which no full stop must stick.
            hint = f"{error.hint} (to train all the same: --accept-warnings)" if finding.overridable else error.hint
            raise UserError(error.code, error.message, hint.strip())
    output.findings(found)
    return dataset.steps.total


def new_run(project: Project, settings: Settings, device: str, **arguments: Any) -> RunFolder:
    """A run folder with a frozen training job in it."""
    from engine.runs.folder import create
    from lora_tui.follow import project_job

    return create(project.runs_dir, project_job("train", project, settings, device, **arguments))


def loras(outcome: Outcome) -> list[str]:
    """The LoRAs that a run has saved, absolute, in the order they were saved."""
    from_result = outcome.result().get("lora") if outcome.run.result_path.exists() else None
    saved = from_result or [saved.path for saved in outcome.seen.snapshot.saved]
    return [str(outcome.run.absolute(path)) for path in saved]


def as_object(outcome: Outcome) -> dict[str, object]:
    """The contract's JSON of a training."""
    snapshot = outcome.seen.snapshot
    return {
        "run": outcome.run.path,
        "pid": outcome.pid,
        "state": outcome.seen.state,
        "step": snapshot.step,
        "total_steps": snapshot.total_steps,
        "lora": loras(outcome),
        "message": snapshot.end.message if snapshot.end is not None else "",
    }


def print_result(outcome: Outcome) -> None:
    """How it ended, for people."""
    snapshot = outcome.seen.snapshot
    if snapshot.end is not None and snapshot.end.message:
        output.say(snapshot.end.message)
    output.say(f"{outcome.seen.state.capitalize()} after {snapshot.step} of {snapshot.total_steps} steps.")
    for path in loras(outcome):
        output.say(f"LoRA  {path}")


def _started(run: RunFolder, pid: int, total_steps: int, as_json: bool) -> None:
    from engine.runs.state import observe
    from lora_tui.follow import raise_failure

    seen = observe(run)
    raise_failure(run, seen)
    if as_json:
        output.answer(
            {
                "run": run.path,
                "pid": pid,
                "state": seen.state,
                "step": seen.snapshot.step,
                "total_steps": seen.snapshot.total_steps or total_steps,
                "lora": [],
                "message": "",
            }
        )
        return
    output.say(f"Started the run {run.path} (process {pid}).")
