"""Shows a run on stderr while it goes: a live line in a terminal, plain lines elsewhere.

A pure reader of observations; nothing here talks to the engine.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from engine.plan.byte_counts import size
from engine.plan.errors import inert
from engine.runs.state import Observation, last_progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

FORESEEN_AFTER = 3.0  # seconds of work; before that nobody can tell how long it will take
PLAIN_SECONDS = 10.0  # between two plain lines; a day of training is then about 1 MB of log
REFRESH_PER_SECOND = 4  # enough for the eye, and takes nothing from a training on the same cores


class Reporter(Protocol):
    """Shows observations one after the other."""

    def show(self, seen: Observation) -> None: ...

    def say(self, text: str) -> None:
        """One line that stays."""

    def close(self) -> None: ...


def reporter(title: str) -> Reporter:
    """What suits this stderr."""
    return LiveReporter(title) if sys.stderr.isatty() else PlainReporter(title)


def activity(seen: Observation) -> tuple[str, int, int]:
    """(what the engine is doing in words, how far it is, of how much; 0 where nobody knows)."""
    snapshot = seen.snapshot
    phase = snapshot.doing
    if seen.state == "silent":
        return f"silent for {duration(seen.time - last_progress(snapshot))}", snapshot.step, snapshot.total_steps
    if seen.state == "paused":
        return "paused", snapshot.step, snapshot.total_steps
    if phase is not None:
        return phase.name, phase.done, phase.total
    if snapshot.stepping:
        return f"training, epoch {snapshot.epoch}/{snapshot.total_epochs}", snapshot.step, snapshot.total_steps
    return ("preparing" if snapshot.last_event_time else "starting"), 0, 0


def amount(done: int, total: int, unit: str = "", seconds: float = 0.0, first: int = 0) -> str:
    """`12 of 30 pictures, 20 s left`, after `seconds` of work; "" where nobody knows of how much.

    first: what was done before that work began.
    """
    if not total:
        return size(done) if unit == "bytes" and done else ""
    left = still(done - first, total - first, seconds)
    how_many = f"{size(done)} of {size(total)}" if unit == "bytes" else f"{done:,} of {total:,}"
    named = f" {inert(unit)}" if unit and unit != "bytes" else ""
    return how_many + named + (f", {left} left" if left else "")


def still(done: int, total: int, seconds: float) -> str:
    """How long the rest takes if it goes as the first `seconds` did; "" where that cannot be told (yet)."""
    if not 0 < done < total or seconds < FORESEEN_AFTER:
        return ""
    return duration(seconds / done * (total - done))


def how_far(seen: Observation) -> str:
    """As `amount`, of what the engine is at."""
    _, done, total = activity(seen)
    phase = seen.snapshot.doing
    if phase is None or seen.state in ("silent", "paused"):
        return amount(done, total)
    return amount(done, total, phase.unit, phase.time - phase.started, phase.first)


def counted(seen: Observation) -> str:
    """How far it is, for a line with little room: `12/30`, and of bytes as `how_far`."""
    _, done, total = activity(seen)
    phase = seen.snapshot.doing
    if phase is not None and phase.unit == "bytes":
        return how_far(seen)
    return f"{done}/{total}" if total else ""


def at_work(seen: Observation) -> str:
    """What the engine is at and how far: `sampling, 12 of 30 steps, 20 s left`."""
    return ", ".join(part for part in (inert(activity(seen)[0]), how_far(seen)) if part)


def details(seen: Observation) -> str:
    """Loss and time left, as far as they are known; before any step, how long the rest of a phase takes."""
    snapshot = seen.snapshot
    parts = []
    if (phase := snapshot.doing) is not None and not snapshot.stepping and phase.unit != "bytes":
        what = phase.unit.partition(", ")[2]  # such as the step of the picture that is being made
        left = still(phase.done - phase.first, phase.total - phase.first, phase.time - phase.started)
        parts += [inert(what)] if what else []
        parts += [f"{left} left"] if left else []
    if snapshot.loss_avg is not None:
        parts.append(f"loss {snapshot.loss_avg:.4f}")
    if snapshot.seconds_left is not None:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class LiveReporter:
    """One line that is repainted, with a bar."""

    def __init__(self, title: str) -> None:
        self._title = inert(title)
        self._warned = 0
        self._progress: Progress
        self._task: TaskID
        self._open()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # markup=False: a phase or title in square brackets is text and nothing else.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[counted]}", markup=False),
            TextColumn("{task.fields[details]}", markup=False),
            console=Console(stderr=True, highlight=False),
            refresh_per_second=REFRESH_PER_SECOND,
        )
        self._task = self._progress.add_task(f"{self._title}: starting", total=None, counted="", details="")
        self._progress.start()

    def show(self, seen: Observation) -> None:
        for warning in seen.snapshot.warnings[self._warned :]:
            self.say(f"warning: {warning.message or warning.change}")
        self._warned = len(seen.snapshot.warnings)
        doing, done, total = activity(seen)
        self._progress.update(
            self._task,
            description=f"{self._title}: {inert(doing)}",
            completed=done,
            total=total or None,
            counted=counted(seen),
            details=inert(details(seen)),
        )

    def say(self, text: str) -> None:
        self._progress.console.print(inert(text), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


class PlainReporter:
    """A line whenever something else begins, and one every ten seconds."""

    def __init__(self, title: str) -> None:
        self._title = inert(title)
        self._warned = 0
        self._doing = ""
        self._due = 0.0

    def show(self, seen: Observation) -> None:
        for warning in seen.snapshot.warnings[self._warned :]:
            self.say(f"warning: {warning.message or warning.change}")
        self._warned = len(seen.snapshot.warnings)
        doing = activity(seen)[0]
        kind = doing.split(" for ")[0]  # "silent for 31 s" is not a new thing every second
        now = time.monotonic()
        if kind == self._doing and now < self._due:
            return
        self._doing, self._due = kind, now + PLAIN_SECONDS
        parts = [f"{self._title}: {doing}", counted(seen), details(seen)]
        self.say(" · ".join(part for part in parts if part))

    def say(self, text: str) -> None:
        print(inert(text), file=sys.stderr, flush=True)

    def close(self) -> None:
        pass
