"""Follows a run in the foreground until it is over. Ctrl-C asks the engine to save and stop; leaving does nothing.

Leaving: a terminal that is closed (SIGHUP), or SIGTERM. The follower is gone within a second then, and the run goes on.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.plan.base_model import recognise
from engine.plan.errors import UserError
from engine.plan.files import existing_path
from engine.plan.prompt_files import expanded
from engine.plan.vae import recognise_vae
from engine.runs import control
from engine.runs.folder import RunFolder, discard, full_disk
from engine.runs.job import Job
from engine.runs.launch import launch
from engine.runs.lock import look
from engine.runs.log import last_lines
from engine.runs.on_end import configured
from engine.runs.state import Observation, RunView
from lora_tui.progress import Reporter, reporter

if TYPE_CHECKING:
    from engine.plan.project import Project
    from engine.plan.settings import Settings

POLL_SECONDS = 0.1
GOODBYE_SECONDS = 10.0  # between the engine's last word and the end of its process: drivers take a while to let go
LEAVE_SECONDS = 0.8  # after SIGHUP or SIGTERM
LEAVE_AT_PRESS = 3  # Ctrl-C: 1 asks to save and stop, 2 sends SIGINT, 3 stops waiting
INTERRUPTED = 130


@dataclass(frozen=True)
class Outcome:
    """How a followed run ended. `interrupted`: Ctrl-C was pressed here."""

    run: RunFolder
    pid: int
    seen: Observation
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """130 for a run that was stopped, by us or by someone else: what was asked has not been done."""
        return INTERRUPTED if self.interrupted or self.seen.state == "stopped" else 0

    def done(self) -> Outcome:
        """Itself, for commands that have nothing to show unless it is done. Raises click.Abort if it was stopped."""
        if self.exit_code:
            raise click.Abort
        return self

    def result(self) -> dict[str, Any]:
        """The job's result. Raises UserError "no-result"."""
        try:
            result = json.loads(self.run.result_path.read_bytes())
        except (OSError, ValueError, RecursionError):
            result = None
        if not isinstance(result, dict):
            raise UserError("no-result", f"The run {self.run.name} left no result.", f"See {self.run.log_path}.")
        return result


def run_job(run: RunFolder, title: str, on_end: str | None = "", fresh: bool = True) -> Outcome:
    """Launch the engine on `run` and follow it. Raises UserError when the engine cannot start, fails or dies.

    `on_end` and `fresh` as in `start`.
    """
    return _followed(lambda: (run, start(run, on_end, fresh)), title)


def run_begun(begin: Callable[[], RunFolder], title: str) -> Outcome:
    """As `run_job`, of a run that `begin` starts and returns."""

    def started() -> tuple[RunFolder, int]:
        run = begin()
        return run, look(run).pid

    return _followed(started, title)


def _followed(started: Callable[[], tuple[RunFolder, int]], title: str) -> Outcome:
    # Both from before the launch: a press in its first second must not be lost.
    with count_interrupts() as presses, leaving() as left:
        run, pid = started()
        shown = reporter(title)
        try:
            seen, interrupted = follow(run, shown, presses, left)
        finally:
            with contextlib.suppress(OSError):  # the terminal may be gone
                shown.close()
    if signum := left():
        raise click.exceptions.Exit(128 + signum)
    if not interrupted:
        raise_failure(run, seen)
    return Outcome(run, pid, seen, interrupted)


def start(run: RunFolder, on_end: str | None = "", fresh: bool = True) -> int:
    """Launch the engine on `run` and return its pid.

    `on_end`: a shell command for when it has ended, "" for none; None means what the user's config.toml says.
    `fresh`: the run was made a moment ago, and is removed again if no engine ever gets to see it.
    """
    try:
        return launch(run, on_end=configured() if on_end is None else on_end)
    except UserError as error:
        # One that is only slow may still take the run up.
        unseen = look(run).status == "never" and not last_lines(run.log_path)
        if fresh and unseen and error.code != "engine-silent":
            discard(run)
        raise


def follow(
    run: RunFolder,
    shown: Reporter,
    presses: Callable[[], int],
    left: Callable[[], int] = lambda: 0,
    poll_seconds: float = POLL_SECONDS,
) -> tuple[Observation, bool]:
    """Show `run` until it is over; (the last observation, whether Ctrl-C was pressed).

    `presses` tells how often that has been, so far; `left`, not 0, that there is nobody to show it to any more.
    """
    view = RunView(run)
    obeyed = 0
    said_goodbye = 0.0
    while True:
        seen = view.refresh()
        if left():
            with contextlib.suppress(OSError):
                shown.say(f"Leaving. The run goes on in {run.path}.")
            return seen, False
        shown.show(seen)
        if seen.over:
            said_goodbye = said_goodbye or time.monotonic()
            if seen.lock.status != "held" or time.monotonic() - said_goodbye > GOODBYE_SECONDS:
                return seen, presses() > 0
        if presses() > obeyed:
            obeyed += 1
            if obeyed == LEAVE_AT_PRESS:
                shown.say(f"Not waiting any longer. The run goes on in {run.path} until the engine obeys.")
                return seen, True
            _ask_to_stop(run, shown, obeyed)
        time.sleep(poll_seconds)


def _ask_to_stop(run: RunFolder, shown: Reporter, press: int) -> None:
    with contextlib.suppress(UserError):  # it ended by itself in the meantime; the next look will tell
        if press == 1:
            control.send(run, "stop")
            shown.say("Asked the engine to save and stop. Ctrl-C again ends it at once.")
        else:
            control.interrupt(run)
            shown.say("Told the engine to end at once. Ctrl-C again leaves without waiting for it.")


@contextlib.contextmanager
def count_interrupts() -> Iterator[Callable[[], int]]:
    """Ctrl-C only counts while this is open, so that it never breaks into the middle of something."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    count = 0

    def pressed(signum: int, frame: object) -> None:
        nonlocal count
        count += 1

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield lambda: count
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def leaving() -> Iterator[Callable[[], int]]:
    """While this is open SIGHUP and SIGTERM are noted down, to leave in order; what is open tells which came, or 0.

    Whatever it waits for, the process is gone a second later: an alarm ends it that nothing handles.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    came = 0

    def note(signum: int, frame: object) -> None:
        nonlocal came
        if not came:
            came = signum
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, LEAVE_SECONDS)

    before = {signum: signal.getsignal(signum) for signum in (signal.SIGHUP, signal.SIGTERM)}
    try:
        for signum, handler in before.items():
            if handler != signal.SIG_IGN:  # nohup: it is to go on
                signal.signal(signum, note)
        yield lambda: came
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def raise_failure(run: RunFolder, seen: Observation) -> None:
    """Raise what went wrong in the run as UserError; nothing if it is well."""
    end = seen.snapshot.end
    if seen.state == "failed" and end is not None:
        raise UserError(end.code or "failed", end.message or "The engine failed.", end.hint or f"See {run.log_path}.")
    if seen.state == "died":
        if run.disk_full:
            raise full_disk(run)
        at = f" at step {seen.snapshot.step}" if seen.snapshot.step else ""
        raise UserError(
            "engine-died",
            f"The engine was killed{at}, without a last word; most often memory has run out.",
            f"See {run.log_path}.",
        )


def project_job(kind: str, project: Project, settings: Settings, device: str, **arguments: Any) -> Job:
    """A job of this kind with all that the engine needs to know of the project now.

    The base model's path is made absolute: the engine works in another folder, on another day. Raises UserError as
    `base_model.recognise` does.
    """
    settings = with_absolute_paths(settings, project.path)
    return Job(
        kind=kind,
        project=project.path,
        name=project.name,
        trigger=project.trigger,
        class_name=project.class_name,
        settings=settings,
        repeats=project.repeats,
        left_out=tuple(project.left_out),
        device=device,
        arguments=arguments,
    )


def with_absolute_paths(settings: Settings, folder: Path | None) -> Settings:
    """The settings with absolute paths, and the prompts of a file in place of it: a job is frozen as it is started.
    Relative paths are looked for in `folder` (the project) first.

    Raises UserError for a base model that cannot be trained.
    """
    base = recognise(settings.pretrained_model_name_or_path, folder)
    paths: dict[str, object] = {}
    if base.kind != "built-in":
        paths["pretrained_model_name_or_path"] = str(base.path)
    if settings.vae:
        paths["vae"] = str(recognise_vae(settings.vae, folder).path)
    if settings.network_weights:
        # One that is not there is for the training to refuse: a comparison does without it.
        start = existing_path(settings.network_weights, folder)
        paths["network_weights"] = str(start or settings.network_weights)
    with contextlib.suppress(UserError):  # a file of prompts that cannot be read, the same
        paths["sample_prompts"] = expanded(settings.sample_prompts, folder)
    return settings.model_copy(update=paths)
