"""`lora-tui queue`: trainings one after the other on one GPU, whether or not anybody stays logged in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.plan.errors import UserError, inert, plural
from lora_tui import output
from lora_tui.options import device_option, json_option, on_end_option, open_project, set_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.runs.queue import Entry
    from engine.runs.state import Observation


@click.group("queue", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Train several projects, or variants of one, one after the other.

    Add them with `queue add`, begin with `queue start`, and log out. Without a subcommand the queue is listed.
    """
    if context.invoked_subcommand is None:
        _list(as_json=False)


@command.command("add")
@click.argument("directories", metavar="PROJECT...", nargs=-1, required=True)
@set_option
@click.option("--accept-warnings", is_flag=True, help="Train even where a warning says that it will not work.")
@device_option
@json_option
def add_command(
    directories: tuple[str, ...], sets: tuple[tuple[str, str], ...], accept_warnings: bool, device: str, as_json: bool
) -> None:
    """Put trainings of these projects at the end of the queue, with the settings that they have now.

    Call it several times with different --set for variants of one project. Pictures are read when a training begins.
    """
    from engine.runs import queue
    from engine.runs.folder import discard
    from lora_tui import recent
    from lora_tui.commands.train import new_run, refuse_or_tell

    try:
        opened = [open_project(directory, sets) for directory in directories]
        for project, settings in opened:  # all are checked before any is added
            refuse_or_tell(project, settings, accept_warnings, device, later=True)
    except UserError as error:
        nothing = " Nothing was added." if len(directories) > 1 else ""
        raise UserError(error.code, f"{error.message}{nothing}", error.hint) from None
    changes = " ".join(f"{name}={text}" for name, text in sets)
    added = []
    for project, settings in opened:
        run = new_run(project, settings, device)
        try:
            added.append(queue.add(run, project.path, changes))
        except BaseException:
            discard(run)
            raise
        recent.remember(project.path)
    if as_json:
        output.answer({"entries": [_as_object(entry) for entry in added]} | _runner())
        return
    for entry in added:
        output.say(f"{entry.number}  {Path(entry.project).name}, run {entry.run.name}")
    working = queue.runner().status == "held" and not queue.stop_asked()
    output.say("The queue is at work; it is done in its turn." if working else "Begin with: lora-tui queue start")


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List what is in the queue and what became of it."""
    _list(as_json)


@command.command("start")
@on_end_option
@json_option
def start_command(on_end: str | None, as_json: bool) -> None:
    """Begin with the queue, in the background. What is added later is done as well.

    With --on-end the command is run once, when all is done; a run that fails does not keep the others from running.
    """
    from engine.runs import queue_runner
    from engine.runs.on_end import configured

    pid = queue_runner.start(configured() if on_end is None else on_end)
    if as_json:
        output.answer({"pid": pid})
        return
    output.say(f"The queue is at work (process {pid}), also when you log out. Look at it with: lora-tui queue list")


@command.command("stop")
@json_option
def stop_command(as_json: bool) -> None:
    """Begin no further run. The one at work is left to its end; `lora-tui stop` ends that."""
    from engine.runs import queue

    queue.ask_to_stop()
    if as_json:
        output.answer(_runner())
        return
    output.say("The queue begins no further run. To go on with it later: lora-tui queue start")


@command.command("remove")
@click.argument("names", metavar="ENTRY...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def remove_command(context: click.Context, names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Take entries out of the queue: their number in the list, or their run.

    The run folder of one that has not begun is deleted, after a question; that of any other one stays.
    """
    from engine.runs import queue

    chosen = list(dict.fromkeys(_entry(name) for name in names))
    for entry in chosen:
        if queue.turn(entry) == "wait":
            how = f"Stop it first: lora-tui stop {entry.path}"
            raise UserError("run-busy", f"The run {entry.run.name} is at work.", how)
    waiting = [entry for entry in chosen if queue.never_began(entry.run)]
    for entry in waiting:
        output.tell(f"{entry.path}: has not begun")
    if waiting and not output.confirmed(f"Delete {plural(len(waiting), 'run')} that waited?", yes):
        context.exit(1)
    for entry in chosen:
        queue.remove(entry)
    if as_json:
        output.answer({"removed": [{"number": entry.number, "path": entry.path} for entry in chosen]})
        return
    output.say(f"Took {plural(len(chosen), 'entry', 'entries')} out of the queue.")


@command.command("clear")
@json_option
def clear_command(as_json: bool) -> None:
    """Take everything that is over out of the list. Nothing is deleted."""
    from engine.runs import queue

    with queue.at_once():
        over = [entry for entry in queue.entries() if queue.turn(entry) == "over"]
        for entry in over:
            queue.forget(entry)
    if as_json:
        output.answer({"removed": [{"number": entry.number, "path": entry.path} for entry in over]})
        return
    output.say(f"Took {plural(len(over), 'entry', 'entries')} out of the list.")


def _entry(name: str) -> Entry:
    """The entry meant by its number, its run's name or path. Raises UserError "no-such-entry"."""
    from engine.plan.files import absolute_path
    from engine.runs import queue

    entries = queue.entries()
    if name.isdecimal():
        found = [entry for entry in entries if entry.number == int(name)]
    else:
        path = absolute_path(name)
        found = [entry for entry in entries if entry.run.path == path]
        found = found or [entry for entry in entries if entry.run.name == name]
    if len(found) > 1:
        numbers = ", ".join(str(entry.number) for entry in found)
        raise UserError("no-such-entry", f"Several runs in the queue are called {name}.", f"Say which: {numbers}.")
    if not found:
        raise UserError("no-such-entry", f"There is no {name} in the queue.", "See lora-tui queue list.")
    return found[0]


def _list(as_json: bool) -> None:
    from engine.runs import queue

    entries = queue.entries()
    if as_json:
        output.answer({"entries": [_as_object(entry) for entry in entries]} | _runner())
        return
    if not entries:
        output.say("The queue is empty. Add a project: lora-tui queue add DIR")
        return
    rows = [_cells(entry) for entry in entries]
    if sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in rows:
            output.say("  ".join(filter(None, row)))
    if queue.runner().status == "held":
        output.say("Stops after the run at work." if queue.stop_asked() else "The queue is at work.")
    elif any(queue.turn(entry) in ("start", "resume", "wait") for entry in entries):
        output.say("The queue is not at work. Begin with: lora-tui queue start")
    else:
        output.say("All of it is over. Empty the list: lora-tui queue clear")


def _observe(entry: Entry) -> tuple[str, str, Observation | None]:
    """(the state of the entry, what there is to say of it, its run as it is now)."""
    from engine.runs.state import observe

    if not entry.run.first_job_path.is_file():
        return "gone", "Its run folder is not there any more.", None
    seen = observe(entry.run)
    if entry.trouble and seen.lock.status != "held":
        return "failed", entry.trouble, seen
    end = seen.snapshot.end
    message = end.message if end is not None and seen.over else ""
    if seen.state == "died":
        from engine.runs.queue import turn

        again = turn(entry, seen) == "resume"
        message = "It is resumed in its turn." if again else f"To go on with it: lora-tui resume {entry.path}"
    return seen.state, message, seen


def _as_object(entry: Entry) -> dict[str, object]:
    state, message, seen = _observe(entry)
    return {
        "number": entry.number,
        "run": entry.run.name,
        "path": entry.run.path,
        "project": entry.project or None,
        "set": entry.changes or None,
        "state": state,
        "step": seen.snapshot.step if seen is not None else 0,
        "total_steps": seen.snapshot.total_steps if seen is not None else 0,
        "message": message,
    }


def _runner() -> dict[str, object]:
    from engine.runs import queue

    lock = queue.runner()
    working = lock.status == "held"
    return {"working": working, "pid": lock.pid if working else None, "stopping": working and queue.stop_asked()}


def _cells(entry: Entry) -> tuple[str, ...]:
    state, message, seen = _observe(entry)
    total = seen.snapshot.total_steps if seen is not None else 0
    steps = f"{seen.snapshot.step}/{total}" if seen is not None and total else ""
    name = Path(entry.project or entry.path).name
    return (str(entry.number), name, entry.run.name, state, steps, inert(entry.changes, 60), message)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("", "Project", "Run", "State", "Step", "Changed"):
        table.add_column(heading, justify="right" if heading == "Step" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(inert(cell)) for cell in row[:-1]))  # Text: brackets in a name are no markup
    Console(highlight=False).print(table)
    for number, *_, message in rows:
        if message:
            output.say(f"{number}: {message}")
