"""The queue: runs that wait for their turn, in the order they were added. One for each user of a machine.

An entry is a small file that names a run folder, whose job is frozen already. What became of an entry is read from its
run, never stored; only what a run cannot tell stands in the entry. `queue_runner` works it off.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from engine.plan.errors import UserError
from engine.plan.files import atomic_write, disk_errors
from engine.runs.checkpoints import list_checkpoints
from engine.runs.folder import RunFolder
from engine.runs.lock import LockInfo, look
from engine.runs.places import state_dir
from engine.runs.removal import remove_run
from engine.runs.state import Observation, observe

ENTRY_VERSION = 1
Turn = Literal["start", "resume", "wait", "over"]


@dataclass(frozen=True)
class Entry:
    """One run in the queue.

    resumed_at: the step from which the runner has resumed it after it died; None if it never has. trouble: why it
    could not be started the last time that was tried, or "". changes: what --set changed in it, for people.
    """

    number: int
    path: str
    project: str = ""
    added: float = 0.0
    resumed_at: int | None = None
    trouble: str = ""
    changes: str = ""

    @property
    def run(self) -> RunFolder:
        return RunFolder(Path(self.path))


def folder() -> Path:
    """Where the queue lies. It may not exist yet."""
    return state_dir() / "queue"


def entries() -> list[Entry]:
    """All entries in their order; what is damaged is passed over."""
    found = []
    with contextlib.suppress(OSError):
        for path in _entries_dir().glob("*.json"):
            entry = _read(path)
            if entry is not None:
                found.append(entry)
    return sorted(found, key=lambda entry: entry.number)


def entry_of(run: RunFolder) -> Entry | None:
    """The entry of this run, if it is in the queue."""
    return next((entry for entry in entries() if entry.run == run), None)


def add(run: RunFolder, project: Path | None = None, changes: str = "") -> Entry:
    """Put `run`, which no engine has begun, at the end. Raises UserError "disk-full", "not-writable"."""
    with at_once():
        number = max((_number(path) for path in _entries_dir().glob("*.json")), default=0) + 1
        entry = Entry(number, str(run.path), str(project or ""), round(time.time(), 3), changes=changes)
        write(entry)
    return entry


def write(entry: Entry) -> None:
    """Write an entry, new or changed. Only within `at_once`."""
    body = {"v": ENTRY_VERSION} | asdict(entry)
    atomic_write(_entries_dir() / f"{entry.number:06d}.json", json.dumps(body) + "\n")


def forget(entry: Entry) -> None:
    """Take an entry out of the list; its run stays. Only within `at_once`."""
    (_entries_dir() / f"{entry.number:06d}.json").unlink(missing_ok=True)


def remove(entry: Entry) -> None:
    """Take an entry out of the queue, with the run folder if no engine ever began on it.

    Raises UserError "run-busy" where one is at work.
    """
    with at_once():
        run = entry.run
        lock = look(run)
        if lock.status == "held":
            raise UserError("run-busy", f"The run {run.name} is at work.", f"Stop it first: lora-tui stop {run.path}")
        if never_began(run):
            remove_run(run)
        forget(entry)


def never_began(run: RunFolder) -> bool:
    """Whether the run is there and no engine has written a word about it."""
    return run.first_job_path.is_file() and not run.events_path.exists()


def forget_finished() -> None:
    """Take the finished and the vanished out of the list. Those that need a look stay."""
    with at_once():
        for entry in entries():
            if not entry.run.first_job_path.is_file() or observe(entry.run).state == "finished":
                forget(entry)


def turn(entry: Entry, seen: Observation | None = None) -> Turn:
    """What is to be done for this entry: a pure function of its run and of what the runner noted down.

    A run that was stopped or has failed is over: somebody wanted that, or it would fail again. One that died is
    resumed as long as that gets it on: it is over when it dies again with no newer checkpoint.
    """
    run = entry.run
    if look(run).status == "held":
        return "wait"
    if not run.first_job_path.is_file() or entry.trouble:
        return "over"
    seen = seen or observe(run)
    if seen.lock.status == "held":
        return "wait"
    if seen.state == "queued":
        return "start"
    if seen.state == "died" and (entry.resumed_at is None or newest_step(run) > entry.resumed_at):
        return "resume"
    return "over"


def resumed(entry: Entry) -> Entry:
    """The entry with a note that its run is being resumed from its newest checkpoint."""
    return replace(entry, resumed_at=newest_step(entry.run))


def newest_step(run: RunFolder) -> int:
    """The step of the newest checkpoint, 0 without one."""
    newest = list_checkpoints(run)[-1:]
    return newest[0].step if newest else 0


# ------------------------------------------------------------------------------------------------------ the runner
def runner() -> LockInfo:
    """Whether a runner is at work ("held") and which; told from its lock, so a killed one is never thought alive."""
    return look(as_locked())


def as_locked() -> RunFolder:
    """The queue's folder as something with a lock, which the runner holds for its life."""
    return RunFolder(folder())


def ask_to_stop() -> None:
    """Ask the runner to begin no further run. Raises UserError "queue-idle" where none is at work."""
    with at_once():
        if runner().status != "held":
            raise UserError("queue-idle", "The queue is not at work.")
        atomic_write(_stop_path(), "")


def stop_asked() -> bool:
    """Whether the runner that is at work has been asked to begin no further run."""
    return _stop_path().exists()


def forget_stop() -> None:
    """For a runner that begins or ends: the wish was meant for the one before, or has been obeyed."""
    _stop_path().unlink(missing_ok=True)


def log_path() -> Path:
    """What the runner did, kept small."""
    return folder() / "queue.log"


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Only one process at a time changes the queue or begins a run of it. Never enter it twice."""
    with disk_errors(folder()):
        _entries_dir().mkdir(parents=True, exist_ok=True)
        # Opened to append: a file that is never written needs no more, and nothing can be cut by accident.
        file = (folder() / "changing").open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed when the file is closed, also by a kill
        yield


def _entries_dir() -> Path:
    return folder() / "entries"


def _stop_path() -> Path:
    return folder() / "stop"


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else 0


def _read(path: Path) -> Entry | None:
    try:
        said = json.loads(path.read_bytes())
        if said["v"] != ENTRY_VERSION or not said["path"].startswith("/"):
            return None
        step = said.get("resumed_at")
        return Entry(
            number=_number(path),
            path=said["path"],
            project=str(said.get("project") or ""),
            added=float(said.get("added") or 0.0),
            resumed_at=step if isinstance(step, int) else None,
            trouble=str(said.get("trouble") or ""),
            changes=str(said.get("changes") or ""),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
