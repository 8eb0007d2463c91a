"""`lora-tui train`: start a training in an engine of its own, and follow it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lora_tui import output
from lora_tui.options import (
    device_option_unset,
    json_option,
    on_end_option,
    open_project,
    overrides,
    set_option,
    take_over_option,
)

if TYPE_CHECKING:
    from engine.plan.project import Project
    from engine.plan.settings import Settings
    from engine.runs.folder import RunFolder
    from lora_tui.follow import Outcome


@click.command("train")
@click.argument("directory", metavar="DIR")
@set_option
@click.option("--resume", is_flag=True, help="Go on with the project's last training instead of starting a new one.")
@click.option("--run", "run_name", default=None, metavar="RUN", help="With --resume: the run to go on with.")
@click.option("--detach", is_flag=True, help="Start it and return at once.")
@click.option("--dry-run", is_flag=True, help="Only five steps: does everything work, and how long will it take?")
@click.option("--accept-warnings", is_flag=True, help="Train even where a warning says that it will not work.")
@device_option_unset
@on_end_option
@take_over_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    directory: str,
    sets: tuple[tuple[str, str], ...],
    resume: bool,
    run_name: str | None,
    detach: bool,
    dry_run: bool,
    accept_warnings: bool,
    device: str | None,
    on_end: str | None,
    take_over: bool,
    as_json: bool,
) -> None:
    """Train the project DIR.

    The training runs in a program of its own: closing the terminal leaves it alone. Ctrl-C asks it to save and stop.

    Each training is a run of its own. With --resume the last one goes on where it was stopped or died, or is made
    longer, e.g. with --set max_train_epochs=6; DIR may then also be the folder of a run.

    With --dry-run it trains five steps, draws a sample, says how long all of it will take, and saves nothing.
    """
    from lora_tui import recent
    from lora_tui.follow import run_job, start

    for given, name in ((run_name is not None, "--run"), (take_over, "--take-over")):
        if given and not resume:
            raise click.UsageError(f"{name} needs --resume.", context)
    if dry_run and (resume or detach):
        raise click.UsageError("--dry-run goes together with neither --resume nor --detach.", context)
    if dry_run:
        _dry_run(context, directory, sets, accept_warnings, device, on_end, as_json)
        return
    if resume:
        run, title = resumed_run(directory, run_name, sets, device, take_over, accept_warnings)
        total_steps = 0
    else:
        project, settings = open_project(directory, sets)
        total_steps = refuse_or_tell(project, settings, accept_warnings, device or "auto")
        _tell_what_could_go_on(project.path)
        _tell_of_the_queue(project.path)
        recent.remember(project.path)
        run, title = new_run(project, settings, device or "auto"), project.name
    if detach:
        pid = start(run, on_end, fresh=not resume)
        _started(run, pid, total_steps, as_json)
        return
    output.tell(f"Run {run.name}. Closing this terminal leaves it alone; Ctrl-C asks it to save and stop.")
    output.tell(f"Look at it from any terminal: lora-tui watch {shlex.quote(str(run.path))}")
    outcome = run_job(run, title, on_end, fresh=not resume)
    if as_json:
        output.answer(as_object(outcome))
    else:
        print_result(outcome)
    context.exit(outcome.exit_code)


def _dry_run(
    context: click.Context,
    directory: str,
    sets: tuple[tuple[str, str], ...],
    accept_warnings: bool,
    device: str | None,
    on_end: str | None,
    as_json: bool,
) -> None:
    """The first steps of a new training. What config.toml says of its end is not for these: it may switch off."""
    from engine.runs.job import DRY_RUN_STEPS
    from lora_tui import recent
    from lora_tui.follow import run_job

    project, settings = open_project(directory, sets)
    refuse_or_tell(project, settings, accept_warnings, device or "auto")
    recent.remember(project.path)
    run = new_run(project, settings, device or "auto", dry_run=DRY_RUN_STEPS)
    output.tell(f"Dry run {run.name}: {DRY_RUN_STEPS} steps, of which nothing is saved. Ctrl-C stops it.")
    outcome = run_job(run, f"{project.name}, dry run", on_end or "")
    result = outcome.result() if run.result_path.exists() else {}
    if as_json:
        seconds = {name: result.get(name) for name in ("seconds_per_step", "estimated_seconds")}
        output.answer(as_object(outcome) | seconds)
    elif outcome.seen.snapshot.end is not None:
        output.say(outcome.seen.snapshot.end.message)
    else:
        print_result(outcome)
    context.exit(outcome.exit_code)


def resumed_run(
    directory: str,
    name: str | None,
    sets: tuple[tuple[str, str], ...],
    device: str | None,
    take_over: bool,
    accept_warnings: bool,
) -> tuple[RunFolder, str]:
    """(the run to go on with, ready to be launched; its name for people).

    `directory`: a project, whose last training is meant unless `name` says which run, or the folder of a run.
    Raises UserError as `resume.going_on` and `resuming.refuse` do.
    """
    from engine.plan.files import absolute_path
    from engine.runs.checkpoints import list_checkpoints
    from engine.runs.folder import RunFolder, find
    from engine.runs.resume import going_on, prepare
    from lora_tui import recent
    from lora_tui.resuming import refuse

    changed = overrides(sets)
    folder = absolute_path(directory)
    if (folder / "job.toml").is_file() and name is None:
        run = RunFolder(folder)
    elif name is not None:
        run = find(name, folder)
    else:
        run = last_training(folder) or find("last", folder)
    refuse(run, going_on(run, changed, device, take_over), accept_warnings)
    prepare(run, changed, device, take_over)
    job = run.table()
    if isinstance(job.get("project"), str):
        recent.remember(Path(job["project"]))
    newest = list_checkpoints(run)[-1:]
    output.tell(f"Going on from step {newest[0].step}." if newest else "There is no checkpoint: it begins anew.")
    return run, str(job.get("name") or run.name)


def last_training(project: Path) -> RunFolder | None:
    """The newest run of a project that is a training, no dry run, and has begun; one that waits in a queue has not."""
    from engine.runs.folder import list_runs

    runs = (run for run in reversed(list_runs(project)) if run.is_training and run.events_path.exists())
    return next(runs, None)


def _tell_what_could_go_on(project: Path) -> None:
    """`train` starts a new run, always; somebody who expected the old one to go on is told how."""
    from engine.runs.checkpoints import list_checkpoints
    from engine.runs.resume import resumable
    from engine.runs.state import observe

    run = last_training(project)
    if run is None or not list_checkpoints(run):
        return
    seen = observe(run)
    if resumable(run, seen):
        ended = {"died": "died", "failed": "failed"}.get(seen.state, "was stopped")
        at = f" at step {seen.snapshot.step} of {seen.snapshot.total_steps}"
        how = f"lora-tui train {shlex.quote(str(project))} --resume"
        output.tell(f"This starts a new run. The last one {ended}{at}; to go on with that one instead: {how}")


def _tell_of_the_queue(project: Path) -> None:
    """Two trainings at once seldom fit on one card."""
    from engine.runs import queue

    if queue.runner().status == "held":
        how = f"lora-tui queue add {shlex.quote(str(project))}"
        output.tell(f"The queue is at work as well; two trainings may need more memory than there is. In turn: {how}")


def refuse_or_tell(
    project: Project, settings: Settings, accept_warnings: bool, device: str = "auto", *, later: bool = False
) -> int:
    """Check before anything is started on `device`; the number of steps to come. later: it waits for its turn.

    Says on stderr what is worth saying. Raises UserError where training would be in vain, with every reason and the
    lines that mend them.
    """
    from engine.plan.base_model import recognise
    from engine.plan.checks import check_settings
    from engine.plan.dataset import scan
    from lora_tui.estimating import predictor_of
    from lora_tui.hardware import gpus_for, hardware_findings
    from lora_tui.resuming import in_one, refusal

    base = None
    if settings.pretrained_model_name_or_path:
        base = recognise(settings.pretrained_model_name_or_path, project.path)  # before hundreds of pictures are read
    dataset = scan(project, settings)
    found = [*dataset.findings, *check_settings(settings, dataset, project, gpus_for(settings, device))]
    found += hardware_findings(settings, base, device, predictor_of(settings, dataset), later=later)
    stops = in_one([finding for finding in found if finding.stops_training(accept_warnings=accept_warnings)])
    if stops is not None:
        raise refusal(stops)
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
