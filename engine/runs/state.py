"""What a run is doing, in one word, worked out from its lock and its log and never stored.

A stored status is what leaves jobs "stopping" for ever after a crash. `derive` is a pure function; `RunView` feeds it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.runs.events import SLICE_EVENTS, EventReader
from engine.runs.fold import Snapshot, fold
from engine.runs.lock import LockInfo, look

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder

State = Literal[
    "queued", "preparing", "training", "paused", "silent", "finished", "stopped", "failed", "died", "unknown"
]
OVER: frozenset[State] = frozenset({"finished", "stopped", "failed", "died"})
SILENT_SECONDS = 30  # under half a minute nobody worries, and saving or sampling takes as long
SILENT_GAPS = 5  # times the usual gap between two steps: a full-size step on a slow GPU may take a minute


def derive(snapshot: Snapshot, lock: LockInfo, now: float) -> State:
    """The state of a run whose lock was looked at *before* its events were read (so a last word is never missed).

    | lock                            | last word                                     | state              |
    |---------------------------------|-----------------------------------------------|--------------------|
    | never held                      | none                                          | queued             |
    | held                            | none, a phase, a heartbeat; no step yet       | preparing          |
    | held                            | a step, or a phase after one                  | training           |
    | held                            | paused                                        | paused             |
    | held                            | none for 5 usual gaps and 30 s                | silent             |
    | held or free                    | `end`                                         | its status         |
    | free                            | anything else                                 | died               |
    | unreadable, or another machine's| no `end`                                      | unknown            |

    A heartbeat says that the process lives, not that it gets on: once steps have come, only a step or an open phase
    counts against silence. An `end` from before the lock was taken belongs to an engine before this one.
    """
    end = snapshot.end
    if end is not None and not (lock.status == "held" and not lock.elsewhere and lock.acquired > end.time):
        return _by_status(end.status)
    if lock.status == "unreadable" or lock.elsewhere:
        return "unknown"
    if lock.status != "held":
        return "queued" if lock.status == "never" and not snapshot.last_event_time else "died"
    spoken = snapshot.life_began >= lock.acquired  # else all that is written is from an engine before this one
    if spoken and snapshot.paused:
        return "paused"
    word = last_progress(snapshot) if spoken else snapshot.last_event_time
    if now - max(word, lock.acquired) > max(SILENT_SECONDS, SILENT_GAPS * snapshot.usual_gap):
        return "silent"
    return "training" if spoken and snapshot.stepping else "preparing"


def last_progress(snapshot: Snapshot) -> float:
    """When the engine last said something that shows it gets on, in Unix seconds."""
    if not snapshot.stepping:
        return snapshot.last_event_time
    phase = snapshot.phase
    if phase is not None and phase.time > snapshot.last_step_time:
        return snapshot.last_event_time  # between two steps it samples or saves, and heartbeats are all it can say
    return max(snapshot.last_step_time, *(phase.time for phase in snapshot.phases.values()), 0.0)


def _by_status(status: str) -> State:
    if status == "finished":
        return "finished"
    return "stopped" if status == "stopped" else "failed"


@dataclass(frozen=True)
class Observation:
    """A run at one moment. `more` is True while there are events that have not been read yet."""

    state: State
    snapshot: Snapshot
    lock: LockInfo
    time: float
    more: bool = False

    @property
    def over(self) -> bool:
        return self.state in OVER and not self.more


class RunView:
    """Follows one run: each `refresh` reads what is new and derives the state anew."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.snapshot = Snapshot()
        self._reader = EventReader(run.events_path)

    def refresh(self, limit: int | None = None) -> Observation:
        """Read the new events (at most about `limit`, so that a screen stays alive) and look at the lock."""
        lock = look(self.run)
        more = self._read(limit)
        state = derive(self.snapshot, lock, time.time())
        if state == "died":  # it may have taken the lock between our two looks
            lock = look(self.run)
            more = self._read(limit)
            state = derive(self.snapshot, lock, time.time())
        return Observation(state, self.snapshot, lock, time.time(), more)

    def _read(self, limit: int | None) -> bool:
        """True if the limit was reached before the end of the file."""
        left = SLICE_EVENTS if limit is None else limit
        while events := self._reader.read(left):
            fold(events, self.snapshot)
            if limit is not None:
                left -= len(events)
                if left <= 0:
                    return True
        return False


def observe(run: RunFolder) -> Observation:
    """The run as it is now, from its whole log."""
    return RunView(run).refresh()
