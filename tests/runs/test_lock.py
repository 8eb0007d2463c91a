"""One engine a run, and everyone can ask who it is. The other engine is always a real process here."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock, look, process_started

HOLD = """
import os, sys
from pathlib import Path
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
lock = RunLock.acquire(RunFolder(Path(sys.argv[1])))
if sys.argv[2:] == ["fork"]:
    if os.fork() == 0:
        os.close(1)
        os.read(0, 1)  # outlives its parent
        os._exit(0)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture
def other(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_run_that_was_never_started(run: RunFolder) -> None:
    assert look(run).status == "never"


def test_the_holder_is_named(run: RunFolder, other: subprocess.Popen[str]) -> None:
    info = look(run)
    assert (info.status, info.pid, info.host, info.elsewhere) == ("held", other.pid, socket.gethostname(), False)
    assert info.process_started == pytest.approx(process_started(other.pid), abs=0.1)
    assert info.boot_id
    with pytest.raises(UserError) as error:
        RunLock.acquire(run)
    assert error.value.code == "run-busy"
    assert str(other.pid) in error.value.message
    assert look(run).status == "held"  # being refused has freed nothing


def test_one_that_has_just_been_taken_is_not_described_by_who_held_it_before(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that is looked at between taking the lock and writing down who it is began now, not then."""
    RunLock.acquire(run, acquired_ns=10**18).release()
    seen = []

    def describe(fd: int, *_: object) -> None:
        script = "import sys; from tests.runs.test_lock import look, RunFolder, Path;"
        script += "info = look(RunFolder(Path(sys.argv[1]))); print(info.status, info.pid, info.acquired)"
        told = subprocess.run([sys.executable, "-c", script, str(run.path)], capture_output=True, text=True, check=True)
        seen.append(told.stdout.split())

    monkeypatch.setattr("engine.runs.lock._describe", describe)
    began = time.time()
    with RunLock.acquire(run):
        ((status, pid, acquired),) = seen
    assert (status, int(pid)) == ("held", os.getpid())
    assert float(acquired) == pytest.approx(began, abs=5)


def test_the_lock_goes_with_its_process_however_it_dies(run: RunFolder, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    info = look(run)
    assert (info.status, info.pid) == ("free", other.pid)
    with RunLock.acquire(run):
        assert look(run).pid == os.getpid()
    assert run.lock_path.exists()


def test_a_forked_worker_does_not_keep_it(run: RunFolder) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path), "fork"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert look(run).status == "held"
        process.kill()
        process.wait()
        assert look(run).status == "free"


def test_looking_at_our_own_lock_does_not_free_it(run: RunFolder) -> None:
    question = (
        "import sys; from pathlib import Path; from engine.runs.folder import RunFolder;"
        "from engine.runs.lock import look; info = look(RunFolder(Path(sys.argv[1]))); print(info.status, info.pid)"
    )
    with RunLock.acquire(run):
        assert look(run).status == "held"
        with pytest.raises(UserError, match="at work"):
            RunLock.acquire(run)
        answer = subprocess.run(
            [sys.executable, "-c", question, str(run.path)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert answer.stdout.split() == ["held", str(os.getpid())]
    assert look(run).status == "free"


def test_another_machines_run(run: RunFolder) -> None:
    run.lock_path.write_text('{"pid": 12, "host": "somewhere else", "acquired": 5}')
    info = look(run)
    assert (info.status, info.elsewhere, info.pid) == ("free", True, 12)


@pytest.mark.parametrize("text", ["{", "[]", "\x00\x00", '{"pid": "x", "host": 3, "acquired": []}'])
def test_a_damaged_lock_file_is_no_crash(run: RunFolder, text: str) -> None:
    run.lock_path.write_text(text)
    assert look(run).status == "free"
    with RunLock.acquire(run):
        assert look(run).status == "held"


def test_a_lock_that_cannot_be_read(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run.lock_path.write_text("{}")
    monkeypatch.setattr(os, "open", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert look(run).status == "unreadable"
