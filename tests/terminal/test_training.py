"""A training outlives the terminal that it was started from, and nobody can tell from the LoRA that it had to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import small_run
from engine.runs.folder import RunFolder
from engine.runs.lock import look
from engine.runs.state import observe
from tests.terminal.conftest import Opened, files_of, is_a_terminal, is_alive, run_of, terminal_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def ends_as_if_nothing_had_happened(run: RunFolder, undisturbed: RunFolder) -> None:
    assert not observe(run).over, "it was over before it could be disturbed: the test shows nothing"
    assert small_run.wait_for_end(run) == "finished"
    assert small_run.differences(run, undisturbed) == []


def test_the_engine_has_no_terminal(project: Path, open_terminal: Opened) -> None:
    terminal = open_terminal("train", project)
    run = run_of(project)
    engine, front = look(run).pid, terminal.process.pid
    assert os.getsid(engine) not in (os.getsid(front), os.getsid(0))
    assert os.getpgid(engine) != os.getpgid(front)
    assert (terminal_of(front) != 0, terminal_of(engine)) == (True, 0)
    assert any(is_a_terminal(name) for name in files_of(front))
    assert [name for name in files_of(engine) if is_a_terminal(name)] == []

    terminal.close()  # the kernel sends SIGHUP to everyone in it
    terminal.wait()
    assert is_alive(engine)
    small_run.wait_for_step(run, observe(run).snapshot.step + 5)  # that it ends the same is the next test's business
    assert observe(run).state == "training"


def test_everything_but_the_engine_is_killed(project: Path, open_terminal: Opened, undisturbed: RunFolder) -> None:
    front = open_terminal("train", project)
    run = run_of(project)
    app = open_terminal("watch", run.path)
    app.wait_for("training")
    engine = look(run).pid
    for terminal in (front, app):
        terminal.send_signal(signal.SIGKILL)
        terminal.wait()
    assert is_alive(engine)
    again = open_terminal("watch", run.path)  # a new connection: the same run, its whole history
    for columns in (80, 120, 200):  # and more of them, which change nothing either
        open_terminal("watch", run.path, columns=columns)
    lines = open_terminal("watch", "--plain", run.path)
    ends_as_if_nothing_had_happened(run, undisturbed)
    again.wait_for("finished")
    again.type("q")
    again.wait()
    lines.wait()
    assert (again.exit_code, lines.exit_code) == (0, 0)
    assert "finished" in lines.text.lower()


@pytest.mark.proof  # as everything else that is killed beside the engine
@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_tmux_is_killed_with_everything_in_it(
    project: Path, undisturbed: RunFolder, env: dict[str, str], tmp_path: Path
) -> None:
    socket = tmp_path / "tmux"

    def tmux(*words: str) -> str:
        line = ["tmux", "-f", "/dev/null", "-S", str(socket), *words]
        return subprocess.run(line, env=env, capture_output=True, text=True, check=True).stdout

    tmux("new-session", "-d", "-s", "t", "-x", "100", "-y", "30", *small_run.command("train", project))
    run = run_of(project)
    tmux("new-window", "-t", "t", *small_run.command("watch", run.path))
    small_run.wait_for(lambda: "training" in tmux("capture-pane", "-p", "-t", "t"), "the dashboard in tmux")
    shells = [int(pid) for pid in tmux("list-panes", "-s", "-t", "t", "-F", "#{pane_pid}").split()]
    assert len(shells) == 2
    tmux("kill-server")
    small_run.wait_for(lambda: not any(map(is_alive, shells)), "everything in tmux to be gone", 20)
    ends_as_if_nothing_had_happened(run, undisturbed)
