"""`lora-tui runs`: what has been run in a project, and what is running; removing runs and checkpoints."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.plan.byte_counts import size as in_words
from engine.plan.errors import UserError, few, inert, plural
from engine.plan.files import absolute_path
from lora_tui import output
from lora_tui.options import json_option, take_over_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.runs.folder import RunFolder
    from engine.runs.removal import Contents
    from engine.runs.state import Observation


class ListByDefault(click.Group):
    """`runs DIR` lists: what is not the name of a subcommand is the folder whose runs are listed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        name = next((argument for argument in args if not argument.startswith("-")), "")
        if name in self.commands:
            others = list(args)
            others.remove(name)  # `runs --json remove …` is `runs remove --json …`
            args = [name, *others]
        elif not {"-h", "--help"} & set(args):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("runs", cls=ListByDefault)
def command() -> None:
    """List the runs of a project, or remove some: lora-tui runs [DIR]."""


@command.command("list")
@click.argument("directory", metavar="[DIR]", default=".")
@json_option
def list_command(directory: str, as_json: bool) -> None:
    """List the runs of the project DIR (by default the folder you are in), oldest first."""
    from engine.runs.folder import list_runs
    from engine.runs.state import observe

    runs = [(run, observe(run)) for run in list_runs(_project_folder(directory))]
    if as_json:
        output.answer({"runs": [_as_object(run, seen) for run, seen in runs]})
    elif not runs:
        output.say("No runs yet.")
    elif sys.stdout.isatty():
        _print_table(runs)
    else:
        _print_lines(runs)


@command.command("remove")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--project", default=None, metavar="DIR", help="The project RUN is in, if not the folder you are in.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@take_over_option
@json_option
@click.pass_context
def remove_command(
    context: click.Context, names: tuple[str, ...], project: str | None, yes: bool, take_over: bool, as_json: bool
) -> None:
    """Delete whole runs, with their samples, logs and checkpoints, after a question.

    RUN is a run's name, its path, or last. LoRAs in the project's model folder stay.
    """
    from engine.runs.removal import contents, refuse_unless_removable, remove_run

    runs = _named(names, project)
    for run in runs:  # all are looked at before any is removed
        _refuse_queued(run)
        refuse_unless_removable(run, take_over)
    about = [contents(run) for run in runs]
    for run, found in zip(runs, about, strict=True):
        output.tell(f"{run.path}: {_in_words(found)}")
        if found.only_here:
            output.tell(f"  In no model folder, so gone with it: {few(found.only_here)}")
    size = sum(found.bytes for found in about)
    if not output.confirmed(f"Delete {plural(len(runs), 'run')} (frees {in_words(size)})?", yes):
        context.exit(1)
    for run in runs:
        remove_run(run, take_over)
    if as_json:
        removed = [
            {"run": run.name, "path": run.path, "bytes": found.bytes} for run, found in zip(runs, about, strict=True)
        ]
        output.answer({"removed": removed, "bytes": size})
        return
    output.say(f"Deleted {plural(len(runs), 'run')}; {in_words(size)} are free again.")


@command.command("remove-checkpoints")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--keep", default=0, type=click.IntRange(0), show_default=True, help="How many of the newest stay.")
@click.option("--project", default=None, metavar="DIR", help="The project RUN is in, if not the folder you are in.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@take_over_option
@json_option
@click.pass_context
def remove_checkpoints_command(
    context: click.Context,
    names: tuple[str, ...],
    keep: int,
    project: str | None,
    yes: bool,
    take_over: bool,
    as_json: bool,
) -> None:
    """Delete checkpoints of runs, after a question; LoRAs, samples and logs stay.

    A run without checkpoints can be looked at as before, but can no longer be resumed.
    """
    from engine.runs.checkpoints import list_checkpoints
    from engine.runs.removal import refuse_unless_removable, remove_checkpoints

    runs = _named(names, project)
    for run in runs:
        refuse_unless_removable(run, take_over)
    doomed = {run: (found := list_checkpoints(run))[: max(0, len(found) - keep)] for run in runs}
    every = [checkpoint for found in doomed.values() for checkpoint in found]
    for run, found in doomed.items():
        steps = ", ".join(str(checkpoint.step) for checkpoint in found)
        output.tell(f"{run.path}: " + (f"checkpoints of step {steps}" if found else "nothing to delete"))
        if found and not keep:
            output.tell("  It can then no longer be resumed.")
    size = sum(checkpoint.bytes for checkpoint in every)
    if every and not output.confirmed(f"Delete {plural(len(every), 'checkpoint')} ({in_words(size)})?", yes):
        context.exit(1)
    for run, found in doomed.items():
        if found:
            remove_checkpoints(run, found, take_over)
    if as_json:
        output.answer({"removed": [{"path": one.path, "bytes": one.bytes} for one in every], "bytes": size})
        return
    output.say(f"Deleted {plural(len(every), 'checkpoint')}; {in_words(size)} are free again.")


def _named(names: Sequence[str], project: str | None) -> list[RunFolder]:
    """The runs of these names, each once. Raises UserError "no-such-run"."""
    from engine.runs.folder import find
    from lora_tui.which_run import project_here

    folder = absolute_path(project) if project is not None else project_here()
    return list(dict.fromkeys(find(name, folder) for name in names))


def _refuse_queued(run: RunFolder) -> None:
    """A run that waits in the queue is taken out of it first."""
    from engine.runs import queue

    entry = queue.entry_of(run)
    if entry is not None and queue.turn(entry) == "start":
        raise UserError(
            "in-queue", f"The run {run.name} waits in the queue.", f"Take it out: lora-tui queue remove {entry.number}"
        )


def _in_words(found: Contents) -> str:
    parts = [
        plural(found.checkpoints, "checkpoint") if found.checkpoints else "",
        plural(found.samples, "sample") if found.samples else "",
        plural(found.loras, "LoRA") if found.loras else "",
        f"{in_words(found.bytes)} to be freed",
    ]
    return ", ".join(part for part in parts if part)


HEADINGS = ("Run", "Job", "State", "Step", "Loss", "Sample", "Size", "Last word")
RIGHT = ("Step", "Sample", "Size")


def _cells(run: RunFolder, seen: Observation) -> tuple[str, ...]:
    """What people see of a run, in the order of HEADINGS; "" where there is nothing to say."""
    snapshot = seen.snapshot
    steps = f"{snapshot.step}/{snapshot.total_steps}" if snapshot.total_steps else ""
    loss = f"{snapshot.loss_avg:.4f}" if snapshot.loss_avg is not None else ""
    sample = f"{snapshot.samples[-1].step}" if snapshot.samples else ""
    word = snapshot.last_event_time
    last = time.strftime("%d %b %H:%M", time.localtime(word)) if word else ""
    job = "dry run" if run.is_dry_run else snapshot.job or run.kind
    return (run.name, job, seen.state, steps, loss, sample, in_words(run.bytes), last)


def _print_lines(runs: Sequence[tuple[RunFolder, Observation]]) -> None:
    """One line a run, for pipes and logs."""
    before = ("", "", "", "step ", "loss ", "sample at step ", "", "")
    for run, seen in runs:
        cells = [lead + cell for lead, cell in zip(before, _cells(run, seen), strict=True) if cell]
        output.say("  ".join(filter(None, [*cells, _message(seen)])))


def _print_table(runs: Sequence[tuple[RunFolder, Observation]]) -> None:
    """A table that fits into 80 columns, and below it what there is to say of runs that have not finished."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from engine.runs.state import OVER

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    rows = [_cells(run, seen) for run, seen in runs]
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in RIGHT else "left", no_wrap=True)
    colours = {"finished": "green", "stopped": "yellow", "failed": "red", "died": "red"}
    for row, (_, seen) in zip(rows, runs, strict=True):
        colour = colours.get(seen.state, "" if seen.state in OVER else "cyan")
        # Text and not str: what stands in square brackets is no markup.
        table.add_row(*(Text(inert(cell), style=colour if cell == seen.state else "") for cell in row))
    Console(highlight=False).print(table)
    for run, seen in runs:
        if seen.state != "finished" and (message := _message(seen)):
            output.say(f"{run.name}: {message}")


def _project_folder(directory: str) -> Path:
    path = absolute_path(directory)
    if (path / "runs").is_dir():  # a list of runs must not depend on whether the project is in order
        return path
    from engine.plan.project import Project

    return Project.open(directory).path


def _as_object(run: RunFolder, seen: Observation) -> dict[str, object]:
    from engine.runs.checkpoints import list_checkpoints

    snapshot = seen.snapshot
    return {
        "run": run.name,
        "path": run.path,
        "job": snapshot.job or run.kind,
        "state": seen.state,
        "step": snapshot.step,
        "total_steps": snapshot.total_steps,
        "epoch": snapshot.epoch,
        "total_epochs": snapshot.total_epochs,
        "loss_avg": snapshot.loss_avg,
        "validation_loss": snapshot.validation_loss,
        "started": snapshot.first_event_time or None,
        "last_event": snapshot.last_event_time or None,
        "bytes": run.bytes,
        "last_sample": run.absolute(snapshot.samples[-1].path) if snapshot.samples else None,
        # From the disk: what a person removed stands in no event.
        "checkpoints": [
            {"path": one.path, "step": one.step, "epoch": one.epoch, "bytes": one.bytes}
            for one in list_checkpoints(run)
        ],
        "message": _message(seen),
    }


def _message(seen: Observation) -> str:
    if seen.snapshot.end is not None and seen.over:
        return seen.snapshot.end.message
    if seen.state == "died":
        return "The engine was killed without a last word."
    if seen.state == "unknown":
        return f"Another machine's run ({seen.lock.host})." if seen.lock.elsewhere else "Its lock cannot be read."
    return ""
