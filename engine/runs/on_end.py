"""`on_end`: a shell command of the user's, run when a run or a queue has ended, however it ended.

It comes from the command line or from the user's own `config.toml`, never from a project or a run folder: those may
have been made by a stranger. A small process of its own waits for the engine, because a killed engine can run nothing
any more; it was started together with it and depends on no terminal either.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path

from engine.plan.errors import UserError, inert
from engine.runs.detached import PYTHON_MODULE, start, without_terminal
from engine.runs.events import parse
from engine.runs.fold import FIRST_PHASE
from engine.runs.folder import RunFolder
from engine.runs.lock import look, process_started
from engine.runs.log import trim
from engine.runs.places import config_dir

POLL_SECONDS = 1.0
LOG_LIMIT_BYTES = 1024 * 1024
LOG_KEPT_BYTES = 256 * 1024
SAME_PROCESS_SECONDS = 0.5  # start times come from clock ticks of 10 ms, and no pid is used again that fast
_COMMAND, _STARTED, _OFFSET = "LORA_TUI_ON_END", "LORA_TUI_ENGINE_STARTED", "LORA_TUI_SAID_BEFORE"


def config_path() -> Path:
    """The user's own file with decisions for all projects."""
    return config_dir() / "config.toml"


def configured() -> str:
    """`on_end` of the user's config.toml; "" where there is none. Raises UserError "bad-config"."""
    path = config_path()
    try:
        command = tomllib.loads(path.read_text("utf-8")).get("on_end", "")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError, RecursionError) as error:
        raise UserError("bad-config", f"{path} cannot be read: {error}.", "Mend it or remove it.") from error
    if not isinstance(command, str) or "\0" in command:
        raise UserError("bad-config", f"on_end in {path} is not a text.", 'Write it as on_end = "command".')
    return command


def size_of(path: Path) -> int:
    """The size of a file in bytes, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def watch(run: RunFolder, pid: int, said_before: int, command: str) -> None:
    """Have `command` run once when the engine `pid`, just started, is gone.

    `said_before`: the size of events.jsonl before it was started; what it says stands behind that.
    An engine that never took the run's lock has not worked on it, and nothing is run.
    Raises UserError and OSError as `detached.start` does.
    """
    env = without_terminal(os.environ)
    # By the environment, not as arguments: those can be read by every user of the machine, and a command may hold a
    # token.
    env |= {_COMMAND: command, _STARTED: repr(process_started(pid)), _OFFSET: str(said_before)}
    start([*PYTHON_MODULE, "engine.runs.on_end", str(run.path), str(pid)], log_path(run), env)


def log_path(run: RunFolder) -> Path:
    """Where the command's output goes."""
    return run.path / "on_end.log"


def how_it_ended(run: RunFolder, pid: int, said_before: int) -> tuple[str, str]:
    """(finished, stopped, failed or died; the message): of the engine `pid`, which spoke behind byte `said_before`.

    Another engine may have gone on with the run since; its words are not ours.
    """
    step, begun = None, False
    with contextlib.suppress(OSError), run.events_path.open("rb") as file:
        file.seek(said_before)
        for event in filter(None, map(parse, file)):
            kind = event["kind"]
            if kind == "end":
                status = str(event.get("status", ""))
                return status if status in ("finished", "stopped") else "failed", str(event.get("message") or "")
            if kind == "step":
                step = event.get("step")
            first = kind == "phase" and event.get("name") == FIRST_PHASE and event.get("state") == "start"
            if (first and begun) or (kind == "job" and event.get("pid") != pid):
                break
            begun = begun or first
    at = f" at step {step}" if step is not None else ""
    return "died", f"The engine was killed{at}, without a last word; most often memory has run out."


def run_command(command: str, log: Path, about: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Run `command` with /bin/sh and the variables `about`, and wait for it. Its output goes to `log`, kept small."""
    clean = {name: value for name, value in env.items() if name not in (_COMMAND, _STARTED, _OFFSET)}
    texts = {name: inert(value) for name, value in about.items() if name != "LORA_TUI_RUN"}
    paths = {"LORA_TUI_RUN": about["LORA_TUI_RUN"]} if "LORA_TUI_RUN" in about else {}
    with log.open("ab") as file:
        # Not the command itself: a token in it must not go with a run folder that is passed on.
        said = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {texts.get('LORA_TUI_STATE', '')}: running on_end\n"
        file.write(said.encode())
        file.flush()
        child = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd="/",
            env=clean | texts | paths,
        )  # fmt: skip
        while True:
            try:
                code = child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                trim(log, LOG_LIMIT_BYTES, LOG_KEPT_BYTES)
            else:
                break
    trim(log, LOG_LIMIT_BYTES, LOG_KEPT_BYTES)
    if code:
        with log.open("ab") as file:
            file.write(f"It ended with the exit code {code}.\n".encode())


def _wait_for_the_end(run: RunFolder, pid: int, started: float) -> None:
    """Until the engine `pid` is gone, also if nobody reaps it. What its clock says counts once only, at the beginning:
    a clock that jumps later must not switch a machine off in the middle of a training.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - started) > SAME_PROCESS_SECONDS:
            return  # it was gone at once, and its number went to another
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_SECONDS)
    except psutil.Error:
        pass
    while (lock := look(run)).status == "held" and lock.pid == pid:
        time.sleep(POLL_SECONDS)


def main() -> None:
    """The watcher: `python -m engine.runs.on_end RUN PID`."""
    run, pid = RunFolder(Path(sys.argv[1])), int(sys.argv[2])
    command, said_before = os.environ[_COMMAND], int(os.environ[_OFFSET])
    _wait_for_the_end(run, pid, float(os.environ[_STARTED]))
    if size_of(run.events_path) <= said_before and look(run).pid != pid:
        return  # it never began; whoever started it was told why
    state, message = how_it_ended(run, pid, said_before)
    about = {"LORA_TUI_RUN": str(run.path), "LORA_TUI_STATE": state, "LORA_TUI_MESSAGE": message}
    run_command(command, log_path(run), about, os.environ)


if __name__ == "__main__":
    main()
