"""Going on with a run that was stopped, died or is finished: what may change then, and the job file that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.plan.errors import UserError
from engine.runs.checkpoints import list_checkpoints
from engine.runs.elsewhere import refuse_elsewhere
from engine.runs.lock import look

if TYPE_CHECKING:
    from engine.plan.settings import Settings
    from engine.runs.folder import RunFolder
    from engine.runs.job import Job
    from engine.runs.state import Observation

CHANGEABLE = (
    "max_train_epochs",
    "save_every_n_epochs",
    "save_every_n_steps",
    "save_last_n_epochs",
    "save_last_n_steps",
    "save_precision",
    "sample_every_n_steps",
    "sample_every_n_epochs",
    "sample_prompts",
    "sample_sampler",
    "checkpoint_every_n_steps",
    "keep_last_n_checkpoints",
    "training_comment",
    "validate_every_n_epochs",
    "validate_every_n_steps",
    "max_data_loader_n_workers",
    "allow_smaller_buckets",
)
"""Options that do not touch what a step computes. All others belong to the state of the training: with another rank the
saved weights do not fit, with another batch size the epochs do not add up."""


def resumable(run: RunFolder, seen: Observation) -> bool:
    """Whether going on makes sense: a training, no dry run, that ended before its last step, on this machine."""
    return seen.state in ("died", "stopped", "failed") and run.is_training


def prepare(
    run: RunFolder,
    sets: Mapping[str, object] | None = None,
    device: str | None = None,
    take_over: bool = False,
) -> None:
    """Make `run` ready to be launched again; where something changes, a new job file says so.

    Arguments and errors are those of `going_on`.
    """
    before, job = run.job, going_on(run, sets, device, take_over)
    if job != before:
        next_job(run, job)


def going_on(
    run: RunFolder,
    sets: Mapping[str, object] | None = None,
    device: str | None = None,
    take_over: bool = False,
) -> Job:
    """What `run` will be asked to do when it goes on. Nothing is written.

    `take_over`: go on with it although another machine's engine was the last at work on it.

    `sets`: options by name with their values (as `settings.parse_text` gives them); `device` None: as before.
    Raises UserError: `run-busy`, `elsewhere`, `cannot-resume`, `cannot-change`, `nothing-left`, and as
    `settings.resolve` does.
    """
    lock = look(run)
    if lock.status == "held":
        raise UserError(
            "run-busy", f"An engine (process {lock.pid}) is at work on the run {run.name}.", "Watch it instead."
        )
    refuse_elsewhere(run, take_over)
    job = run.job
    if job.kind != "train" or job.settings is None:
        raise UserError("cannot-resume", f"The run {run.name} is no training ({job.kind}).", "Start it anew.")
    if job.dry_run:
        raise UserError(
            "cannot-resume",
            f"The run {run.name} was a dry run, which saves nothing to go on from.",
            "Start a new run (without --resume).",
        )
    settings = _changed(job.settings, sets or {})
    _refuse_nothing_left(run, job.settings, settings)
    return replace(job, settings=settings, device=device or job.device)


def _changed(before: Settings, sets: Mapping[str, object]) -> Settings:
    from engine.plan.settings import resolve, to_dict

    after = resolve(to_dict(before), sets)
    refused = [name for name in type(before).model_fields if getattr(before, name) != getattr(after, name)]
    refused = [name for name in refused if name not in CHANGEABLE]
    if refused:
        raise UserError(
            "cannot-change",
            f"{' and '.join(refused)} cannot change when a run goes on.",
            f"These can: {', '.join(CHANGEABLE)}. For anything else start a new run (without --resume).",
        )
    return after


def _refuse_nothing_left(run: RunFolder, before: Settings, after: Settings) -> None:
    from engine.runs.state import observe

    newest = list_checkpoints(run)[-1:]
    trained = newest[0].epoch if newest else 0  # the epoch of its last step, complete or not
    if after.max_train_epochs < trained:
        raise UserError(
            "nothing-left",
            f"The run {run.name} is in epoch {trained} already: max_train_epochs cannot be {after.max_train_epochs}.",
            f"Give {trained} or more.",
        )
    if observe(run).state == "finished" and after.max_train_epochs <= before.max_train_epochs:
        raise UserError(
            "nothing-left",
            f"The run {run.name} has finished its {before.max_train_epochs} epochs.",
            f"For two more: --set max_train_epochs={before.max_train_epochs + 2}.",
        )


def next_job(run: RunFolder, job: Job) -> None:
    """Write `job-2.toml`, `job-3.toml`, …, which from now on is the run's job. Earlier ones stay to be looked up."""
    job.write(run.path / f"job-{run.job_number + 1}.toml")
