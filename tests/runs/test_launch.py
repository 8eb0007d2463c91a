"""The engine outlives what started it, and an engine that cannot start says why. Real processes, a fake engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.plan.errors import UserError
from engine.runs import detached
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.launch import environment, launch
from engine.runs.lock import RunLock, look
from engine.runs.state import observe

FAKE = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))


def made(tmp_path: Path, **arguments: Any) -> RunFolder:
    return create(tmp_path / "runs", Job("train", name="zibo", arguments=arguments))


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_launch_returns_once_the_engine_holds_the_lock(tmp_path: Path) -> None:
    run = made(tmp_path, steps=100, step_seconds=0.05)
    pid = launch(run, FAKE)
    info = look(run)
    assert (info.status, info.pid) == ("held", pid)
    process = psutil.Process(pid)
    assert os.getsid(pid) == pid != os.getsid(0)
    assert process.terminal() is None
    assert process.cwd() == "/"
    files = {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} if sys.platform == "linux" else set()
    assert files <= {"/dev/null", str(run.log_path)}
    with pytest.raises(UserError, match=f"process {pid}"):
        launch(run, FAKE)
    os.kill(pid, signal.SIGHUP)  # what a closing terminal sends
    wait_for(lambda: observe(run).snapshot.step >= 2)
    assert process.is_running()
    os.kill(pid, signal.SIGINT)
    wait_for(lambda: observe(run).state == "stopped")


def test_the_engine_outlives_its_terminal(tmp_path: Path) -> None:
    run = made(tmp_path, steps=60, step_seconds=0.02)
    leader, follower = os.openpty()
    script = (
        "import fcntl, sys, termios; from pathlib import Path; from engine.runs.launch import launch;"
        "from engine.runs.folder import RunFolder; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "launch(RunFolder(Path(sys.argv[1])), sys.argv[2:]); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(run.path), *FAKE],
        stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    ) as front:  # fmt: skip
        os.close(follower)
        assert b"up" in os.read(leader, 100)
        os.close(leader)  # the terminal is closed
        front.wait(10)
    wait_for(lambda: observe(run).over)
    assert observe(run).state == "finished"


@pytest.mark.parametrize(
    ("then", "code", "said"),
    [("exit-before-lock", "engine-died", "torch is not what it should be"), ("", "cannot-launch", "")],
)
def test_an_engine_that_cannot_start(
    tmp_path: Path, then: str, code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path, then=then)
    if code == "cannot-launch":
        monkeypatch.setattr(detached, "IGNORE_SIGHUP", ("/no/such/shell",))
    with pytest.raises(UserError) as error:
        launch(run, FAKE)
    assert error.value.code == code
    assert said in error.value.message


def test_an_engine_that_ends_before_anyone_looks(tmp_path: Path) -> None:
    run = made(tmp_path, steps=0, then="fail")
    assert launch(run, FAKE) > 0
    wait_for(lambda: observe(run).over)
    end = observe(run).snapshot.end
    assert end is not None
    assert (end.status, end.code, end.message, end.hint) == (
        "failed",
        "out-of-patience",
        "Enough of this.",
        "Try later.",
    )


SLOW_TO_SAY_WHO_IT_IS = """
import sys, time
from pathlib import Path
from engine.runs import lock
from engine.runs.folder import RunFolder
describe = lock._describe
def late(*given):
    time.sleep(0.5)
    describe(*given)
lock._describe = late
with lock.RunLock.acquire(RunFolder(Path(sys.argv[1]))):
    sys.stdin.read()
    time.sleep(2)
"""


def test_what_the_engine_before_left_in_the_lock_is_not_taken_for_the_new_ones_word(tmp_path: Path) -> None:
    """The old one took it a moment ago, and the new one holds it and has not said yet who it is."""
    run = made(tmp_path)
    with RunLock.acquire(run):
        EventWriter(run.events_path).write("end", status="stopped", message="")
    before = look(run).acquired
    pid = launch(run, (sys.executable, "-c", SLOW_TO_SAY_WHO_IT_IS))
    assert look(run).pid == pid
    assert look(run).acquired > before
    assert observe(run).state == "preparing"


def test_the_end_of_the_engine_before_is_not_that_of_one_that_ends_at_once(tmp_path: Path) -> None:
    run = made(tmp_path)
    with RunLock.acquire(run):
        EventWriter(run.events_path).write("end", status="stopped", message="")
    with pytest.raises(UserError) as error:
        launch(run, ("/bin/sh", "-c", "echo no memory; exit 1"))
    assert (error.value.code, error.value.message) == ("engine-died", "The engine ended at once: no memory")


def test_an_engine_that_never_takes_the_lock(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        launch(made(tmp_path), ("/bin/sh", "-c", "sleep 2"), wait_seconds=0.2)
    assert error.value.code == "engine-silent"


def test_an_engine_that_is_killed_is_found_dead(tmp_path: Path) -> None:
    run = made(tmp_path, steps=2, then="crash")
    launch(run, FAKE)
    wait_for(lambda: observe(run).over)
    assert observe(run).state == "died"


def test_a_run_whose_lock_we_hold_is_busy(tmp_path: Path) -> None:
    run = made(tmp_path)
    with RunLock.acquire(run), pytest.raises(UserError) as error:
        launch(run, FAKE)
    assert error.value.code == "run-busy"


def test_the_engine_is_offline_and_knows_no_terminal() -> None:
    given = {"TERM": "xterm", "TMUX": "1", "PATH": "/bin", "HOME": "/root", "PYTHONPATH": "/own"}
    env = environment(given | {"ACCELERATE_MIXED_PRECISION": "fp16", "WORLD_SIZE": "8"})
    assert (
        not {"ACCELERATE_MIXED_PRECISION", "WORLD_SIZE"} & env.keys()
    )  # left behind by another tool, it would overrule the settings
    assert "TERM" not in env
    assert "TMUX" not in env
    assert (env["HF_HUB_OFFLINE"], env["TRANSFORMERS_OFFLINE"], env["PATH"], env["HOME"]) == ("1", "1", "/bin", "/root")
    assert env["PYTHONPATH"].endswith("/own")
