"""The app and the terminal it lives in: it goes when the terminal goes, and what it showed goes on."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from benchmarks import recorded, small_run
from engine.runs.folder import RunFolder
from tests.terminal.conftest import Opened

GONE = 20.0  # seconds; it takes a fraction of one, but this machine may have other things to do


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunFolder]:
    """A run in the middle of its training, as far as anyone can see: this process holds its lock."""
    run = recorded.record(tmp_path / "zibo" / "runs" / "2026-11-22_153012", steps=300, samples=False)
    with recorded.hold(run):
        yield run


@pytest.mark.parametrize("how", ["the window is closed", "SIGHUP", "SIGTERM"])
def test_the_app_goes_with_its_terminal(running: RunFolder, open_terminal: Opened, how: str) -> None:
    terminal = open_terminal("watch", running.path)
    terminal.wait_for("training")
    if how == "the window is closed":
        terminal.close()
    else:
        terminal.send_signal(signal.Signals[how])
    terminal.wait(GONE)
    if how != "the window is closed":
        assert terminal.exit_code is not None, "the signal killed it before it could put the terminal right"


def test_the_app_goes_also_when_it_is_woken_in_a_terminal_that_is_gone(
    running: RunFolder, open_terminal: Opened
) -> None:
    """With SIGHUP the kernel sends SIGCONT, so that those who sleep hear it. Whoever takes that for the end of a sleep
    starts to draw again, and waits for ever for somebody to take what it has drawn."""
    terminal = open_terminal("watch", running.path)
    terminal.wait_for("training")
    terminal.close()
    for _ in range(20):
        with contextlib.suppress(ProcessLookupError):
            terminal.send_signal(signal.SIGCONT)
            time.sleep(0.005)
    terminal.wait(GONE)


def test_the_app_goes_when_its_keyboard_ends_without_a_signal(
    running: RunFolder, env: Mapping[str, str], tmp_path: Path
) -> None:
    """A pty that is not its controlling terminal: reading from it ends, and no signal says so. Endless rounds of
    "nothing to read" are what leaves a program of a dead connection at 100 % of a core all night."""
    leader, follower = pty.openpty()
    app = subprocess.Popen(
        small_run.command("watch", running.path),
        env=env, cwd=tmp_path, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while b"training" not in shown:
        shown += os.read(leader, 65536)
    before = psutil.Process(app.pid).cpu_times()
    os.close(leader)
    try:
        app.wait(GONE)
    except subprocess.TimeoutExpired:
        after = psutil.Process(app.pid).cpu_times()
        app.kill()
        app.wait()
        pytest.fail(f"still there; it has used {after.user + after.system - before.user - before.system:.1f} s of CPU")


def test_what_is_typed_before_the_first_picture_counts(running: RunFolder, open_terminal: Opened) -> None:
    terminal = open_terminal("watch", running.path)
    terminal.type("q")  # Python has not even started
    terminal.wait(GONE)
    assert terminal.exit_code == 0


def test_the_terminal_is_left_as_it_was_found(running: RunFolder, open_terminal: Opened) -> None:
    terminal = open_terminal("watch", running.path)
    terminal.wait_for("training")
    terminal.send_signal(signal.SIGTERM)
    terminal.wait(GONE)
    small_run.wait_for(lambda: terminal.alternate_screen is False, "the terminal's first screen", GONE)
    assert terminal.cursor_shown


def test_the_app_can_be_put_to_sleep(running: RunFolder, open_terminal: Opened) -> None:
    """Ctrl-Z of a shell, and fg; again and again, at any moment."""
    terminal, chance = open_terminal("watch", running.path), random.Random(0)
    terminal.wait_for("training")
    for round_ in range(20):
        terminal.type("?" if round_ % 2 == 0 else "q")  # so that it is drawing just then
        time.sleep(0.02 * chance.random())
        terminal.send_signal(signal.SIGTSTP)
        small_run.wait_for(lambda: terminal.process.status() == psutil.STATUS_STOPPED, "sleep", GONE)
        small_run.wait_for(lambda: not terminal.alternate_screen, "the shell's screen", GONE)
        terminal.send_signal(signal.SIGCONT)
        small_run.wait_for(lambda: terminal.alternate_screen, "the app's screen", GONE)
    terminal.type("?")
    terminal.wait_for("Everything here, and what it does")
    terminal.type("qq")
    terminal.wait(GONE)
    assert terminal.exit_code == 0


def test_keys_that_come_in_one_piece_are_done_in_their_order(running: RunFolder, open_terminal: Opened) -> None:
    """As over a slow connection, or when somebody pastes: letters and Backspace in one read."""
    terminal = open_terminal("watch", running.path)
    terminal.wait_for("training")
    terminal.type("i")
    terminal.wait_for("A sample now")
    terminal.type("\x15one\x7f\x7f\x7ftwo\x7fxyz\x1b[D\x1b[Dq")
    terminal.wait_for("twxqyz")
    terminal.type("\x1b")
    terminal.type("q")


def test_what_another_program_wrote_over_it_is_painted_over(running: RunFolder, open_terminal: Opened) -> None:
    """Only what changes is sent, so a message to all users would stay until something changes below it."""
    terminal = open_terminal("watch", running.path)
    terminal.wait_for("training")
    terminal.disturb("\x1b[2;1HThe system goes down for maintenance at noon")
    assert "goes down" in terminal.text
    terminal.type("\x0c")
    small_run.wait_for(lambda: "goes down" not in terminal.text, "all painted anew", GONE)
    terminal.type("q")
    terminal.wait(GONE)
