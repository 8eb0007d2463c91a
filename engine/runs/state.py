"""What a run is doing, in one word, worked out from its lock and its log and never stored.

A stored status is what leaves jobs "stopping" for ever after a crash. `derive` is a pure function; `RunView` feeds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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
    | unreadable, or another machine's| no `end` since it was taken                   | unknown            |

    A heartbeat says that the process lives, not that it gets on: once steps have come, only a step or an open phase
    counts against silence. An `end` from before the lock was taken belongs to an engine before this one.
    """
    end = snapshot.end
    begun_since = (lock.status == "held" or lock.elsewhere) and end is not None and lock.acquired > end.time
    if end is not None and not begun_since:
        return _by_status(end.status)
    if lock.status == "unreadable" or lock.elsewhere:
        return "unknown"
    if lock.status != "held":
        return "queued" if lock.status == "never" and not snapshot.last_event_time else "died"
    spoken = has_spoken(snapshot, lock)
    if spoken and snapshot.paused:
        return "paused"
    word = last_progress(snapshot) if spoken else max(snapshot.last_event_time, lock.acquired)
    if now - word > max(SILENT_SECONDS, SILENT_GAPS * snapshot.usual_gap):
        return "silent"
    return "training" if spoken and snapshot.stepping else "preparing"


def has_spoken(snapshot: Snapshot, lock: LockInfo) -> bool:
    """Whether the engine that holds the lock has written anything yet; else all there is comes from one before it."""
    return snapshot.life_began >= lock.acquired


def last_progress(snapshot: Snapshot) -> float:
    """When the engine last said something that shows it gets on, in Unix seconds.

    On the clock of its newest event: if the clock was changed in between, it is as if it had always been as it is now.
    """
    if not snapshot.stepping or snapshot.doing is not None:
        return snapshot.last_event_time  # it prepares, samples or saves, and heartbeats are all it can say
    return snapshot.last_event_time - (snapshot.worked_seconds - snapshot.worked_at_progress)


def _by_status(status: str) -> State:
    if status == "finished":
        return "finished"
    return "stopped" if status == "stopped" else "failed"


@dataclass(frozen=True)
class Observation:
    """A run at one moment. `more` is True while there are events that have not been read yet.

    `time`: now, in Unix seconds, on the clock of the events; it goes on evenly also when the machine's clock jumps.
    """

    state: State
    snapshot: Snapshot
    lock: LockInfo
    time: float
    more: bool = False

    @property
    def over(self) -> bool:
        return self.state in OVER and not self.more


class RunView:
    """Follows one run: each `refresh` reads what is new and derives the state anew.

    `snapshot` is another object after the log was replaced or cut, and the same one otherwise.
    """

    def __init__(
        self, run: RunFolder, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self.run = run
        self.snapshot = Snapshot()
        self._reader = EventReader(run.events_path, newest_gpu=True)
        self._beginnings = 0
        self._clock, self._steady = clock, steady
        self._newest: tuple[float, float] | None = None  # time of the last event, and of the lock
        self._heard = 0.0  # when it came, on the steady clock
        self._age = 0.0  # how old it was then, in seconds
        self._live = False  # the log was read to its end at the last refresh

    def refresh(self, limit: int | None = None) -> Observation:
        """Read the new events (at most about `limit`, so that a screen stays alive) and look at the lock."""
        lock = look(self.run)
        more = self._read(limit)
        state = derive(self.snapshot, lock, self._now(lock))
        if state == "died" and not more:  # it may have taken the lock between our two looks
            lock = look(self.run)
            more = self._read(limit)
            state = derive(self.snapshot, lock, self._now(lock))
        self._live = not more
        return Observation(state, self.snapshot, lock, self._now(lock), more)

    def _now(self, lock: LockInfo) -> float:
        """The machine's clock may be set while we look on, and must not make a run look silent: what came in while we
        watched was new then, and from there on a clock counts that only ever goes forward.
        """
        snapshot = self.snapshot
        word = snapshot.last_event_time
        newest = (word, lock.acquired)
        if lock.status == "held" and not has_spoken(snapshot, lock):
            word = max(word, lock.acquired)
        if newest != self._newest:
            self._newest, self._heard = newest, self._steady()
            self._age = 0.0 if self._live else max(0.0, self._clock() - word)
        return word + self._age + (self._steady() - self._heard)

    def _read(self, limit: int | None) -> bool:
        """True if the limit was reached before the end of the file."""
        left = SLICE_EVENTS if limit is None else limit
        while events := self._reader.read(left):
            if self._reader.beginnings != self._beginnings:
                self._beginnings = self._reader.beginnings
                self.snapshot = Snapshot()
            fold(events, self.snapshot)
            if limit is not None:
                left -= len(events)
                if left <= 0:
                    return True
        return False


def observe(run: RunFolder) -> Observation:
    """The run as it is now, from its whole log."""
    return RunView(run).refresh()
