"""Commands reach the engine once, in order, and are answered in its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.runs.control import Inbox, interrupt, send
from engine.runs.events import EventWriter, read_all
from engine.runs.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    run.control_dir.mkdir()
    return run


@pytest.fixture
def inbox(run: RunFolder) -> Iterator[Inbox]:
    with EventWriter(run.events_path) as events:
        yield Inbox(run, events)


def test_commands_come_in_order_and_are_answered(run: RunFolder, inbox: Inbox) -> None:
    first, second = send(run, "sample", prompt="zibo", seed=3), send(run, "stop")
    commands = inbox.poll()
    assert [(command.id, command.command) for command in commands] == [(first, "sample"), (second, "stop")]
    assert commands[0].arguments == {"prompt": "zibo", "seed": 3}
    assert inbox.poll() == []  # each is handed over once
    assert len(list(run.control_dir.iterdir())) == 2  # and stays until it is obeyed
    for command in commands:
        inbox.answer(command, "done", "so be it")
    assert list(run.control_dir.iterdir()) == []
    answers = [(e["kind"], e["id"], e["command"], e["result"], e["message"]) for e in read_all(run.events_path)]
    assert answers[1] == ("command", second, "stop", "done", "so be it")


def test_a_command_for_an_earlier_engine_is_ignored(run: RunFolder) -> None:
    late = send(run, "stop")
    with EventWriter(run.events_path) as events:
        inbox = Inbox(run, events)
        assert inbox.poll() == []
    event = next(read_all(run.events_path))
    assert (event["id"], event["result"]) == (late, "ignored")
    assert list(run.control_dir.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"v":2,"command":"stop"}', '{"v":1,"command":"dance"}', '{"v":1}', '{"v":1,"command":[]}'],
)
def test_what_is_no_command_is_refused_and_removed(run: RunFolder, inbox: Inbox, text: str) -> None:
    (run.control_dir / f"{time.time_ns()}-1.json").write_text(text)
    assert inbox.poll() == []
    assert next(read_all(run.events_path))["result"] == "refused"
    assert list(run.control_dir.iterdir()) == []


def test_a_command_still_being_written_is_left_alone(run: RunFolder, inbox: Inbox) -> None:
    (run.control_dir / f".{time.time_ns()}-1.json.tmp").write_text("{")
    (run.control_dir / f".{time.time_ns()}-1.json").write_text("{")
    assert inbox.poll() == []
    assert len(list(run.control_dir.iterdir())) == 2


def test_a_run_without_a_control_folder(run: RunFolder, inbox: Inbox) -> None:
    run.control_dir.rmdir()
    assert inbox.poll() == []
    send(run, "stop")
    assert len(inbox.poll()) == 1


def test_only_known_commands_can_be_sent(run: RunFolder) -> None:
    with pytest.raises(ValueError, match="dance"):
        send(run, "dance")


def test_a_signal_reaches_no_stranger_with_the_same_number(run: RunFolder) -> None:
    with pytest.raises(UserError, match="No engine"):
        interrupt(run)
    held = (
        "import sys; from pathlib import Path; from engine.runs.folder import RunFolder;"
        "from engine.runs.lock import RunLock; lock = RunLock.acquire(RunFolder(Path(sys.argv[1])));"
        "print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", held, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        right = run.lock_path.read_text()
        run.lock_path.write_text(json.dumps(json.loads(right) | {"process_started": 1.0}))
        with pytest.raises(UserError, match="No engine"):
            interrupt(run)
        os.kill(process.pid, 0)
        run.lock_path.write_text(right)
        interrupt(run)
        assert process.wait(10) in (-signal.SIGINT, 130, 1)
