"""Real terminals, real commands, real engines on a small project; and an undisturbed run to compare with."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import small_run
from benchmarks.terminal import Terminal
from engine.plan.errors import UserError
from engine.runs import control
from engine.runs.folder import RunFolder, list_runs

Opened = Callable[..., Terminal]


@pytest.fixture(scope="session")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return small_run.environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project whose copies are trained."""
    return small_run.make_project(tmp_path_factory.mktemp("undisturbed") / "ohwx", max_train_epochs=16)


@pytest.fixture(scope="session")
def undisturbed(source: Path, env: dict[str, str]) -> RunFolder:
    """The run that nobody touched."""
    run = small_run.start(source, env=env)
    assert small_run.wait_for_end(run) == "finished"
    return run


@pytest.fixture
def my_pictures(tmp_path: Path) -> Path:
    """A folder of pictures as people have them; one has no caption."""
    made = small_run.make_project(tmp_path / "source")
    pictures = tmp_path / "my pictures"
    shutil.copytree(next((made / "img").iterdir()), pictures)
    sorted(pictures.glob("*.txt"))[0].unlink()
    shutil.rmtree(made)
    return pictures


@pytest.fixture
def own_home(env: dict[str, str], tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A home folder that nobody has used yet, and the environment for it."""
    home = tmp_path / "home"
    home.mkdir()
    return home, {
        **env,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }


@pytest.fixture
def project(source: Path, tmp_path: Path) -> Iterator[Path]:
    """The project, not yet trained. Its engines do not outlive the test."""
    project = small_run.copy_project(source, tmp_path / "ohwx")
    yield project
    for run in list_runs(project):
        try:
            control.interrupt(run, signal.SIGKILL)
        except UserError:
            continue


@pytest.fixture
def open_terminal(env: dict[str, str], tmp_path: Path) -> Iterator[Opened]:
    """`open_terminal("watch", run)` runs that command of lora-tui in a terminal of its own."""
    opened: list[Terminal] = []

    def open_one(*arguments: object, lines: int = 30, columns: int = 100) -> Terminal:
        terminal = Terminal(small_run.command(*arguments), env, tmp_path, lines, columns)
        opened.append(terminal)
        return terminal

    yield open_one
    for terminal in opened:
        terminal.end()


def files_of(pid: int) -> list[str]:
    """What the open files of a process are."""
    names = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{pid}/fd/{number}"))
        except FileNotFoundError:
            continue
    return names


def terminal_of(pid: int) -> int:
    """The device number of a process's controlling terminal; 0: it has none."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[4])


def is_a_terminal(name: str) -> bool:
    return name.startswith(("/dev/pts/", "/dev/tty", "/dev/ptmx", "/dev/console"))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_of(project: Path, step: int = 2) -> RunFolder:
    """The run that has just been started in `project`, once it has done `step` steps and while it does more."""
    run = small_run.wait_for_run(project)
    small_run.wait_for_step(run, step)
    return run
