"""`on_end` runs once when an engine's life has ended, however it ended. Real processes, a fake engine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.plan.errors import UserError
from engine.runs import on_end
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.launch import launch
from engine.runs.state import observe

FAKE = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))


def made(tmp_path: Path, **arguments: Any) -> RunFolder:
    return create(tmp_path / "runs", Job("train", name="zibo", arguments=arguments))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def was_told(told: Path) -> bool:
    """The shell makes the file before it writes into it."""
    return told.exists() and told.read_text().endswith("\n")


def telling(tmp_path: Path) -> tuple[str, Path]:
    """A command that appends a line to a file, and that file."""
    told = tmp_path / "told"
    return f'echo "$LORA_TUI_STATE|$LORA_TUI_MESSAGE|$LORA_TUI_RUN" >> {told}; echo said', told


@pytest.mark.parametrize(
    ("ask", "state", "message"),
    [
        ({"steps": 2}, "finished", ""),
        ({"then": "fail"}, "failed", "Enough of this."),
        ({"steps": 2, "then": "crash"}, "died", "killed at step 2"),
        ({"then": "exit-without-a-word"}, "died", "killed, without"),
    ],
)
def test_the_command_is_told_how_it_ended(tmp_path: Path, ask: dict[str, Any], state: str, message: str) -> None:
    run = made(tmp_path, **ask)
    command, told = telling(tmp_path)
    launch(run, FAKE, on_end=command)
    wait_for(lambda: told.exists() and "said" in on_end.log_path(run).read_text())
    said_state, said_message, said_run = told.read_text().splitlines()[0].split("|")
    assert (said_state, said_run) == (state, str(run.path))
    assert message in said_message
    assert observe(run).state == state


def test_once_for_each_life_of_an_engine(tmp_path: Path) -> None:
    """Two engines one after the other, the second one begun before the first one's watcher has looked."""
    run = made(tmp_path, steps=3)
    command, told = telling(tmp_path)
    os.environ["FAKE_ENGINE"] = '{"then": "crash"}'
    try:
        launch(run, FAKE, on_end=command)
        wait_for(lambda: observe(run).over)
    finally:
        del os.environ["FAKE_ENGINE"]
    launch(run, FAKE, on_end=command)
    wait_for(lambda: told.exists() and len(told.read_text().splitlines()) == 2)
    assert sorted(line.split("|")[0] for line in told.read_text().splitlines()) == ["died", "finished"]


def test_a_launcher_that_is_killed_takes_nothing_along(tmp_path: Path) -> None:
    run = made(tmp_path, steps=40, step_seconds=0.05)
    command, told = telling(tmp_path)
    script = (
        "import sys; from pathlib import Path; from engine.runs.folder import RunFolder;"
        "from engine.runs.launch import launch;"
        "launch(RunFolder(Path(sys.argv[1])), sys.argv[3:], on_end=sys.argv[2]); print('up', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(run.path), command, *FAKE],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as front:  # fmt: skip
        assert front.stdout is not None
        assert front.stdout.readline() == b"up\n"
        os.killpg(front.pid, signal.SIGKILL)
    assert not told.exists()
    pid = observe(run).lock.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: was_told(told))
    assert told.read_text().startswith("died|")


def test_a_paused_run_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.runs.control import send

    run = made(tmp_path, steps=20, step_seconds=0.02)
    command, told = telling(tmp_path)
    launch(run, FAKE, on_end=command)
    send(run, "pause")
    wait_for(lambda: observe(run).state == "paused")
    time.sleep(2 * on_end.POLL_SECONDS)  # the watcher has looked in between
    assert not told.exists()
    send(run, "resume")
    wait_for(lambda: was_told(told))
    assert told.read_text().startswith("finished|")


def test_an_engine_that_never_began_runs_nothing(tmp_path: Path) -> None:
    run = made(tmp_path, then="exit-before-lock")
    command, told = telling(tmp_path)
    with pytest.raises(UserError, match="torch is not what it should be"):
        launch(run, FAKE, on_end=command)
    time.sleep(2 * on_end.POLL_SECONDS)
    assert not told.exists()


def test_the_command_is_not_for_other_eyes(tmp_path: Path) -> None:
    """It may hold a token: any user can read the arguments of a process, and run folders are passed on."""
    import psutil

    def arguments() -> list[str]:
        found = []
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                found.append(" ".join(child.cmdline()))
        return found

    run = made(tmp_path, steps=1000, step_seconds=0.05)
    pid = launch(run, FAKE, on_end=": s3cret; env")
    wait_for(lambda: any("engine.runs.on_end" in line for line in arguments()))
    assert not any("s3cret" in line for line in arguments())
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: on_end.log_path(run).exists() and "LORA_TUI_STATE=died" in on_end.log_path(run).read_text())
    for path in run.path.rglob("*"):
        assert path.is_dir() or b"s3cret" not in path.read_bytes()


def test_its_output_is_kept_small(tmp_path: Path) -> None:
    log = tmp_path / "on_end.log"
    env = {"PATH": os.environ["PATH"]}
    on_end.run_command("yes 0123456789 | head -c 3000000; echo; echo last; exit 3", log, {}, env)
    assert log.stat().st_size < on_end.LOG_LIMIT_BYTES
    assert log.read_text().splitlines()[-2:] == ["last", "It ended with the exit code 3."]


def test_messages_are_inert(tmp_path: Path) -> None:
    log = tmp_path / "log"
    on_end.run_command('printf %s "$LORA_TUI_MESSAGE"', log, {"LORA_TUI_MESSAGE": "a\x1b]0;x\nb"}, dict(os.environ))
    assert log.read_text().splitlines()[-1] == "a\\x1b]0;x\\nb"


def test_the_users_config_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert on_end.configured() == ""
    on_end.config_path().parent.mkdir(parents=True)
    on_end.config_path().write_text('on_end = "sudo poweroff"\nother = 3\n')
    assert on_end.configured() == "sudo poweroff"


@pytest.mark.parametrize("text", ["on_end = 3", "on_end = [", 'on_end = "\\u0000"', "\udcff"])
def test_a_config_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Somebody who relies on the machine being switched off must hear of a slip of the pen."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    on_end.config_path().parent.mkdir(parents=True)
    on_end.config_path().write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError) as error:
        on_end.configured()
    assert error.value.code == "bad-config"
