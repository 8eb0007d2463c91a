"""`lora-tui pause`, `resume`, `stop`, `stop-after-epoch`, `checkpoint`, `sample`: commands to a running engine.

A command is a file in the run folder, so it works from any terminal; what came of it is an event in the run's log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.plan.errors import UserError
from lora_tui import output
from lora_tui.options import (
    device_option_unset,
    json_option,
    on_end_option,
    overrides,
    set_option,
    take_over_option,
)
from lora_tui.which_run import at_work, chosen_run, run_argument

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder
    from engine.runs.state import Observation, RunView

_F = TypeVar("_F", bound=Callable[..., Any])
ANSWER_SECONDS = 120.0  # a full-size save or a sample in progress takes up to a minute or two
PATIENCE_SECONDS = 2.0  # after which it is said what the engine is busy with
GOODBYE_SECONDS = 10.0  # between the answer to `stop` and the end of the process
POLL_SECONDS = 0.1
LONGEST_PROMPT = 10_000  # characters; 75 tokens are some 300


def _common(command: _F) -> _F:
    command = click.option(
        "--no-wait", is_flag=True, help="Leave the command for the engine and return without its answer."
    )(command)
    return run_argument(json_option(command))


@click.command("pause")
@click.option("--release-memory", is_flag=True, help="Give the GPU's memory back meanwhile; going on takes longer.")
@_common
def pause(run: str, project: str | None, no_wait: bool, as_json: bool, release_memory: bool) -> None:
    """Let the training RUN wait (by default the one at work in this project) until `lora-tui resume`."""
    arguments = {"release_memory": True} if release_memory else {}
    _command(_at_work(run, project), "pause", no_wait, as_json, **arguments)


@click.command("stop")
@_common
def stop(run: str, project: str | None, no_wait: bool, as_json: bool) -> None:
    """Save RUN (by default the one at work in this project) and end it. `lora-tui resume` goes on with it later."""
    _command(_at_work(run, project), "stop", no_wait, as_json)


@click.command("stop-after-epoch")
@_common
def stop_after_epoch(run: str, project: str | None, no_wait: bool, as_json: bool) -> None:
    """End RUN (by default the one at work in this project) when it is through with this epoch."""
    _command(_at_work(run, project), "stop-after-epoch", no_wait, as_json)


@click.command("checkpoint")
@_common
def checkpoint(run: str, project: str | None, no_wait: bool, as_json: bool) -> None:
    """Save the whole state of RUN now (by default the one at work in this project), and train on."""
    _command(_at_work(run, project), "checkpoint", no_wait, as_json)


@click.command("sample")
@click.option("--prompt", default=None, help="What to draw. The project's own sample prompts by default.")
@click.option("--seed", default=None, type=click.IntRange(0, 2**63 - 1), help="The same seed draws the same picture.")
@_common
def sample(run: str, project: str | None, no_wait: bool, as_json: bool, prompt: str | None, seed: int | None) -> None:
    """Draw a picture with the LoRA as it is now, while RUN trains (by default the one at work in this project)."""
    if prompt is not None and len(prompt) > LONGEST_PROMPT:
        raise UserError("long-prompt", f"The prompt has {len(prompt)} characters.", f"{LONGEST_PROMPT} are allowed.")
    if prompt is not None and not prompt.isascii():
        try:
            prompt.encode("utf-8")
        except UnicodeEncodeError:
            raise UserError("not-utf8", "The prompt is not UTF-8.", "Check the encoding of your terminal.") from None
    arguments = {name: value for name, value in (("prompt", prompt), ("seed", seed)) if value is not None}
    _command(_at_work(run, project), "sample", no_wait, as_json, **arguments)


@click.command("resume")
@set_option
@device_option_unset
@on_end_option
@take_over_option
@click.option("--accept-warnings", is_flag=True, help="Go on even where a warning says that it will not work here.")
@_common
def resume(
    run: str,
    project: str | None,
    no_wait: bool,
    as_json: bool,
    sets: tuple[tuple[str, str], ...],
    device: str | None,
    on_end: str | None,
    take_over: bool,
    accept_warnings: bool,
) -> None:
    """Let a paused RUN go on, or restart one that was stopped or died (by default this project's last training).

    It goes on in the background, from its newest checkpoint. With --set something may change, e.g.
    --set max_train_epochs=6 for more epochs after a finished run.
    """
    changed = overrides(sets)
    folder = chosen_run(run, project, prefer=_paused)
    if run == "last" and not at_work(folder):
        folder = chosen_run(run, project, prefer=lambda other: other.is_training)
    if not at_work(folder):
        _restart(folder, changed, device, on_end, take_over, accept_warnings, as_json)
        return
    if changed or device is not None or on_end is not None:
        raise UserError(
            "run-busy", f"An engine is at work on the run {folder.name}: nothing can change now.", "Stop it first."
        )
    _command(folder, "resume", no_wait, as_json)


def _at_work(run: str, project: str | None) -> RunFolder:
    return chosen_run(run, project, prefer=at_work)


def _paused(run: RunFolder) -> bool:
    from engine.runs.state import observe

    return at_work(run) and observe(run).state == "paused"


def _restart(
    run: RunFolder,
    sets: dict[str, object],
    device: str | None,
    on_end: str | None,
    take_over: bool,
    accept_warnings: bool,
    as_json: bool,
) -> None:
    from engine.runs import queue
    from engine.runs.resume import going_on, prepare
    from lora_tui import recent
    from lora_tui.follow import start
    from lora_tui.resuming import refuse

    entry = queue.entry_of(run)
    if entry is not None and queue.turn(entry) == "start":
        raise UserError("in-queue", f"The run {run.name} waits in the queue.", "Begin with it: lora-tui queue start")
    refuse(run, going_on(run, sets, device, take_over), accept_warnings)
    prepare(run, sets, device, take_over)
    project = run.table().get("project")
    pid = start(run, on_end, fresh=False)
    if isinstance(project, str) and project:
        from pathlib import Path

        recent.remember(Path(project))
    message = f"Going on with the run {run.name} (process {pid})."
    if as_json:
        output.answer(_object(run, None, "resume", "done", message) | {"pid": pid})
        return
    output.say(message)
    output.say(f"Look at it with: lora-tui watch {run.path}")


def _command(run: RunFolder, command: str, no_wait: bool, as_json: bool, **arguments: object) -> None:
    """Send the command, wait for its answer and print it. Raises UserError where it was not obeyed."""
    from engine.runs.control import send
    from engine.runs.state import OVER, RunView

    view = RunView(run)
    seen = view.refresh()
    if seen.state in OVER or seen.state == "queued":
        raise _no_engine(run, seen)
    if seen.state == "unknown":
        why = f"was last at work on another machine ({seen.lock.host})" if seen.lock.elsewhere else "cannot be read"
        raise UserError("no-engine", f"The run {run.name} {why}, and can only be looked at from here.")
    name = send(run, command, **arguments)
    if no_wait:
        result, message = "sent", f"Left the command for the engine of the run {run.name}."
    else:
        result, message = _answer(run, view, name, command)
    if as_json:
        output.answer(_object(run, name, command, result, message))
    else:
        output.say(message or f"{run.name}: {command} {result}.")


def _object(run: RunFolder, name: str | None, command: str, result: str, message: str) -> dict[str, object]:
    return {"run": run.path, "id": name, "command": command, "result": result, "message": message}


def _answer(run: RunFolder, view: RunView, name: str, command: str) -> tuple[str, str]:
    """(result, message) of the engine's answer to the command `name`. Raises UserError when there is none."""
    from lora_tui.progress import at_work

    began = time.monotonic()
    told = False
    while True:
        seen = view.refresh()
        waited = time.monotonic() - began
        if name in seen.snapshot.answers:
            _, result, message = seen.snapshot.answers[name]
            if result == "refused":
                raise UserError("refused", message or f"The engine refused to {command}.")
            if command == "stop":
                _wait_for_the_end(run)
            return result, message
        if seen.over and seen.lock.status != "held":
            return _ended_first(run, seen, command)
        if waited > ANSWER_SECONDS:
            raise UserError(
                "no-answer-yet",
                f"The engine of the run {run.name} has not answered for {ANSWER_SECONDS:.0f} s: {at_work(seen)}.",
                "The command stays in place, and is obeyed as soon as it can be.",
            )
        if waited > PATIENCE_SECONDS and not told:
            told = True
            output.tell(f"Waiting for the engine ({at_work(seen)}). Ctrl-C leaves; the command stays in place.")
        time.sleep(POLL_SECONDS)


def _wait_for_the_end(run: RunFolder) -> None:
    """So that a script may start the next thing on the same GPU."""
    deadline = time.monotonic() + GOODBYE_SECONDS
    while at_work(run) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _ended_first(run: RunFolder, seen: Observation, command: str) -> tuple[str, str]:
    """The engine was gone before it read the command: for a stop that is as good."""
    from lora_tui.follow import raise_failure

    raise_failure(run, seen)
    message = f"The run {run.name} had {seen.state} before."
    if command.startswith("stop"):
        return "ignored", message
    raise UserError("no-engine", message)


def _no_engine(run: RunFolder, seen: Observation) -> UserError:
    from engine.runs.resume import resumable

    if seen.state == "queued":
        return UserError("no-engine", f"The run {run.name} has not begun yet.", "See lora-tui queue list.")
    step, total = seen.snapshot.step, seen.snapshot.total_steps
    at = f" at step {step} of {total}" if total and step else ""
    became = {"finished": "has finished", "stopped": "was stopped", "failed": "has failed", "died": "died"}[seen.state]
    hint = f"To go on with it: lora-tui resume {run.path}" if resumable(run, seen) else ""
    return UserError("no-engine", f"No engine is at work on the run {run.name}: it {became}{at}.", hint)
