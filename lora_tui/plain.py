"""`watch --plain`: a run as lines of text, for pipes, logs and screen readers. Reads only, and writes no control codes.

What was before is one line; from then on a line for every step, phase and event. On a run of several days that is much,
but it is what was asked for: `train` itself says one line every ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from engine.plan.errors import inert
from engine.runs.events import Event, EventReader
from engine.runs.fields import number
from engine.runs.folder import RunFolder
from engine.runs.resume import resumable
from engine.runs.snapshot import Snapshot
from engine.runs.state import Observation, RunView
from lora_tui import output
from lora_tui.follow import POLL_SECONDS, count_interrupts
from lora_tui.job_kinds import is_beside_training, state_in_words
from lora_tui.progress import activity, at_work, duration

FINISHED, FAILED, INTERRUPTED = 0, 1, 130
_CODES = {"finished": FINISHED, "failed": FAILED, "died": FAILED, "stopped": INTERRUPTED}


def watch_plain(run: RunFolder, as_json: bool = False, poll_seconds: float = POLL_SECONDS) -> int:
    """Say what happens until the run is over; the exit code. Ctrl-C leaves (130) without touching the run.

    `as_json`: the lines go to stderr, and at the end the object of the run to stdout.
    """
    say = output.tell if as_json else _say
    with count_interrupts() as presses:
        seen = follow(run, say, lambda: presses() > 0, poll_seconds)
    if as_json:
        output.answer(as_object(run, seen))
    elif not seen.over:
        output.tell("Not watching any longer; the run goes on.")
    return _CODES[seen.state] if seen.over else INTERRUPTED


def _say(text: str) -> None:
    print(inert(text), flush=True)


def follow(
    run: RunFolder,
    say: Callable[[str], None],
    left: Callable[[], bool],
    poll_seconds: float = POLL_SECONDS,
    step_seconds: float = 0.0,
) -> Observation:
    """Say what happens until the run is over or `left()`; the last observation.

    `step_seconds`: at least this long between two lines that only say that another step is done.
    """
    said = float("-inf")

    def tell_new() -> None:
        nonlocal said
        while new := reader.read():
            for event, line in told(new, view.snapshot):
                if event["kind"] == "step":
                    if time.monotonic() - said < step_seconds:
                        continue
                    said = time.monotonic()
                say(line)

    view, reader = RunView(run), EventReader(run.events_path)
    while reader.read():  # before the summary is made: what comes in between is told twice and not lost
        pass
    seen = view.refresh()
    say(summary(run, seen))
    state = seen.state
    while not (seen.over or left()):
        time.sleep(poll_seconds)
        seen = view.refresh()
        tell_new()
        if seen.state != state:
            state = seen.state
            if not seen.over:
                say(_changed(run, seen))
    tell_new()
    if seen.over:
        say(ending(run, seen))
    return seen


def summary(run: RunFolder, seen: Observation) -> str:
    """One line for all that was before."""
    snapshot = seen.snapshot
    parts = [f"run {run.name}: {state_in_words(run, seen.state)}"]
    if snapshot.step:
        parts.append(f"step {snapshot.step} of {snapshot.total_steps}")
        parts.append(f"epoch {snapshot.epoch} of {snapshot.total_epochs}")
    elif not seen.over:
        parts.append(at_work(seen) if is_beside_training(run) else activity(seen)[0])
    if snapshot.loss_avg is not None:
        parts.append(f"loss {snapshot.loss_avg:.4f}")
    if snapshot.validation_loss is not None:
        parts.append(f"validation loss {snapshot.validation_loss:.4f}")
    counts = {"sample": len(snapshot.samples), "LoRA": len(snapshot.saved), "warning": len(snapshot.warnings)}
    parts += [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count]
    return ", ".join(parts)


def told(events: Iterable[Event], snapshot: Snapshot) -> Iterable[tuple[Event, str]]:
    """Each event that says something to people, with its line."""
    for event in events:
        teller = _TELLERS.get(event["kind"])
        line = teller(event, snapshot) if teller is not None else ""
        if line:
            when = number(event.get("time"))
            clock = time.strftime("%H:%M:%S ", time.localtime(when)) if when is not None else ""
            yield event, clock + line


def _step(event: Event, snapshot: Snapshot) -> str:
    parts = [f"step {event.get('step')} of {snapshot.total_steps}", f"epoch {event.get('epoch')}"]
    for name, words in (("loss", "loss"), ("loss_avg", "average"), ("seconds", "seconds")):
        if (value := number(event.get(name))) is not None:
            parts.append(f"{words} {value:.4f}" if name != "seconds" else f"{value:.2f} s")
    if event.get("step") == snapshot.step and snapshot.seconds_left is not None:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return ", ".join(parts)


def _phase(event: Event, snapshot: Snapshot) -> str:
    name, total = event.get("name"), event.get("total")
    if event.get("state") == "start" and name != "training":
        return f"{name}" + (f", {total} {event.get('unit') or ''}".rstrip() if total else "")
    return ""


def _validation(event: Event, snapshot: Snapshot) -> str:
    loss = number(event.get("loss"))
    return f"validation loss {'no number' if loss is None else f'{loss:.4f}'} at step {event.get('step')}"


def _command(event: Event, snapshot: Snapshot) -> str:
    return f"asked to {event.get('command')}: {event.get('result')}. {event.get('message') or ''}".rstrip()


_TELLERS: dict[str, Callable[[Event, Snapshot], str]] = {
    "step": _step,
    "phase": _phase,
    "command": _command,
    "validation": _validation,
    "sample": lambda event, _: f"sample {event.get('path')}: {event.get('prompt')}",
    "saved": lambda event, _: f"saved {event.get('path')}",
    "checkpoint": lambda event, _: f"checkpoint {event.get('path')}",
    "warning": lambda event, _: f"warning: {event.get('message') or event.get('change')}",
    "oom": lambda event, _: f"warning: {event.get('message') or 'memory ran out'}",
    "paused": lambda event, _: f"paused at step {event.get('step')}",
    "resumed": lambda event, _: f"goes on from step {event.get('from_step')}",
}


def _changed(run: RunFolder, seen: Observation) -> str:
    return f"now {state_in_words(run, seen.state)}" if seen.state != "silent" else f"now {activity(seen)[0]}"


def ending(run: RunFolder, seen: Observation) -> str:
    """How it ended, and what to do about it."""
    end = seen.snapshot.end
    snapshot = seen.snapshot
    step = f" at step {snapshot.step} of {snapshot.total_steps}" if snapshot.total_steps else ""  # drawing has none
    if seen.state == "died":
        how = f" To go on: lora-tui resume {run.path}" if resumable(run, seen) else ""
        return f"died{step}: the engine was killed without a last word.{how}"
    said = f": {end.message} {end.hint}".rstrip(": ") if end is not None else ""
    return f"{seen.state}{step}{said}"


def as_object(run: RunFolder, seen: Observation) -> dict[str, object]:
    """What `train` says of a run, without the process that is not ours to know."""
    snapshot = seen.snapshot
    return {
        "run": run.path,
        "state": seen.state,
        "step": snapshot.step,
        "total_steps": snapshot.total_steps,
        "lora": [str(run.absolute(saved.path)) for saved in snapshot.saved],
        "message": snapshot.end.message if snapshot.end is not None else "",
    }
