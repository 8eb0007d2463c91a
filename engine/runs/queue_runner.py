"""Works the queue off, one run after the other: a process of its own that outlives the terminal, as the engines do.

Killed at any moment it loses nothing: the run at work goes on, and the next runner waits for it and takes over.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from engine.plan.errors import UserError, few, plural
from engine.runs import detached, on_end, queue
from engine.runs.launch import launch
from engine.runs.lock import RunLock, look
from engine.runs.log import last_lines, trim
from engine.runs.resume import prepare
from engine.runs.state import observe

RUNNER_COMMAND = (*detached.PYTHON_MODULE, "engine.runs.queue_runner")
POLL_SECONDS = 1.0
START_SECONDS = 60.0
WORST_FIRST = ("failed", "died", "stopped", "finished")
_ON_END = "LORA_TUI_QUEUE_ON_END"


def start(command: str = "") -> int:
    """Start a runner and return its pid, once it holds the queue's lock. `command`: on_end of the whole queue.

    Raises UserError: "queue-busy", "queue-empty", "queue-died".
    """
    if (lock := queue.runner()).status == "held":
        raise busy(lock.pid)
    queue.forget_finished()
    with queue.at_once():
        for entry in queue.entries():
            if entry.trouble:  # whatever it was may have been mended
                queue.write(replace(entry, trouble=""))
    if all(queue.turn(entry) == "over" for entry in queue.entries()):
        raise UserError("queue-empty", "Nothing waits in the queue.", "Add a project: lora-tui queue add DIR")
    trim(queue.log_path(), on_end.LOG_LIMIT_BYTES, on_end.LOG_KEPT_BYTES)
    env = detached.without_terminal(os.environ) | {_ON_END: command}
    try:
        child = detached.start(RUNNER_COMMAND, queue.log_path(), env)
    except OSError as error:
        raise UserError("cannot-launch", f"The queue cannot be started: {error.strerror}.") from error
    deadline = time.monotonic() + START_SECONDS
    while queue.runner().pid != child.pid:
        gone = child.poll()
        if gone is not None and gone != 0:
            if (lock := queue.runner()).status == "held":
                raise busy(lock.pid)
            said = " ".join(last_lines(queue.log_path())) or "It said nothing."
            raise UserError("queue-died", f"The queue ended at once: {said}", f"See {queue.log_path()}.")
        if time.monotonic() > deadline:
            raise UserError("queue-died", "The queue does not begin.", f"See {queue.log_path()}.")
        time.sleep(0.02)
    return child.pid


def busy(pid: int) -> UserError:
    return UserError(
        "queue-busy", f"The queue is at work already (process {pid}).", "What you add is done when its turn comes."
    )


@dataclass
class Done:
    """What a runner has done. ended: by path of the runs, in order, how they ended. waiting: how many it has not begun
    because it was asked to stop."""

    ended: dict[str, str] = field(default_factory=dict)
    waiting: int = 0


def work() -> Done:
    """Work the queue off. Returns with the queue's lock released.

    Raises UserError "queue-busy" where another runner is at work.
    """
    with queue.at_once():
        try:
            lock = RunLock.acquire(queue.as_locked())
        except UserError as error:
            raise busy(queue.runner().pid) if error.code == "run-busy" else error from None
        queue.forget_stop()
    done = Done()
    while (entry := _begin_next(lock, done)) is not None:
        done.ended[entry.path] = _wait_for(entry)
        trim(queue.log_path(), on_end.LOG_LIMIT_BYTES, on_end.LOG_KEPT_BYTES)
    return done


def _begin_next(lock: RunLock, done: Done) -> queue.Entry | None:
    """Begin the next run and return its entry; that of a run at work comes first.

    None when nothing waits or a stop was asked for: the lock is then released in the same moment in which that was
    found, so that whoever adds something later knows that nobody will do it.
    """
    with queue.at_once():
        turns = [(entry, queue.turn(entry)) for entry in queue.entries()]
        for entry, turn in turns:
            if turn == "wait":
                return entry
        for entry, turn in turns:
            if turn == "over":
                continue
            if queue.stop_asked():
                done.waiting += 1
                continue
            begun = _begin(entry, turn)
            if begun is not None:
                return begun
        queue.forget_stop()
        lock.release()
        return None


def _begin(entry: queue.Entry, turn: queue.Turn) -> queue.Entry | None:
    try:
        if turn == "resume":
            entry = queue.resumed(entry)
            queue.write(entry)  # before it begins: a runner that is killed now must not resume it for ever
            prepare(entry.run)
        pid = launch(entry.run)
    except UserError as error:
        _say(f"{entry.run.name} could not be started: {error}")
        queue.write(replace(entry, trouble=str(error)))
        return None
    _say(f"{entry.run.name} {'begun' if turn == 'start' else 'resumed'} (process {pid}): {entry.run.path}")
    return entry


def _wait_for(entry: queue.Entry) -> str:
    """Until no engine is at work on the run any more; how it ended."""
    while look(entry.run).status == "held":
        time.sleep(POLL_SECONDS)
    state = observe(entry.run).state
    _say(f"{entry.run.name} {state}")
    return state


def summary(ended: dict[str, str]) -> dict[str, str]:
    """What `on_end` is told: the last run, the worst state of all of them, and how many ended how."""
    states = list(ended.values())
    worst = next((state for state in WORST_FIRST if state in states), "failed")
    counted = few((f"{count} {state}" for state, count in Counter(states).items()), len(WORST_FIRST) + 1)
    message = f"{plural(len(states), 'run')} in the queue: {counted}."
    return {"LORA_TUI_RUN": list(ended)[-1], "LORA_TUI_STATE": worst, "LORA_TUI_MESSAGE": message}


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, flush=True)


def main() -> int:
    """The runner: `python -m engine.runs.queue_runner`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    command = os.environ.pop(_ON_END, "")
    try:
        done = work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if done.waiting:  # somebody goes on with it later: the queue has not ended
        _say(f"Stopped; {plural(done.waiting, 'run')} still waiting.")
        return 0
    _say("The queue is through." if done.ended else "Nothing was to do.")
    if command and done.ended:
        on_end.run_command(command, queue.folder() / "on_end.log", summary(done.ended), os.environ)
    return 0


if __name__ == "__main__":
    sys.exit(main())
