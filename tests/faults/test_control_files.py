"""What may lie in control/ besides commands: none of it stops a training, and a real command is still obeyed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import small_run
from engine.runs import control
from engine.runs.folder import RunFolder
from tests.faults.conftest import WHOLE, after_step
from tests.training import Trained, Trainer

LATER = str(2 * 10**18)  # nanoseconds: in the year 2033


def nonsense(folder: Path) -> list[Path]:
    """One of each kind, under the names that commands have."""
    numbers = iter(range(1000))

    def path(end: str = "-1.json") -> Path:
        return folder / f"{LATER}{next(numbers):03}{end}"

    made: list[Path] = []

    def write(data: bytes, end: str = "-1.json") -> None:
        made.append(path(end))
        made[-1].write_bytes(data)

    def command(**fields: object) -> None:
        write(json.dumps({"v": 1, "id": "x", **fields}).encode())

    write(b"")
    write(os.urandom(5000))
    write(b'{"v":1,"id":"x","command":"stop"}'[:-3])
    write(b" " * 50_000_000)
    write(b"[" * 100_000)
    write(b'{"v":1,"command":"st' + b"o" * 200_000 + b'p"}')
    for value in (b"null", b"[]", b'"stop"', b"1e999", b"NaN", b'{"v":1}', b'{"v":"1","command":"stop"}', b"\xff\xfe"):
        write(value)
    for name in (None, [], {}, 7, True, "Stop", "stop\0", "rm -rf /", "\x1b[2J", "../stop"):
        command(command=name)
    for version in (None, 2, "1", [1]):
        write(json.dumps({"v": version, "command": "stop"}).encode())
    for prompt in (7, ["a"], {"a": 1}, True):
        command(command="sample", prompt=prompt)
    for seed in ("7", 1.5, [], True, -1, 2**64, 10**400):
        command(command="sample", seed=seed)
    command(command="sample", prompt="a man --w 99999999 --h -3 --s 0")
    command(command="sample", prompt="\x1b[2J\x07\0[red]" + "man " * 10_000, seed=3)
    command(command="checkpoint", path="/etc/passwd", step=-4)
    write(b"{}", "\x1b[2J\x07[red]-1.json")
    write(b"{}", "-1.json".replace("1", "٣"))  # digits, and not ours
    write(b'{"v":1,"command":"stop"}', ".json.txt")
    made.append(folder / os.fsdecode(LATER.encode() + b"-\xff\xfe.json"))
    made[-1].write_bytes(b'{"v":1}')
    made.append(folder / "stop.json")
    made[-1].write_bytes(b'{"v":1,"command":"stop"}')

    made.append(path())
    made[-1].mkdir()
    (made[-1] / "inside").write_text("somebody's own")
    made.append(path())
    os.mkfifo(made[-1])  # opening one waits for a writer who never comes
    made.append(path())
    made[-1].symlink_to(made[-1])
    made.append(path())
    made[-1].symlink_to("/nowhere")
    made.append(path())
    made[-1].symlink_to("/dev/zero")
    return made


def trained_with(
    arrange: Callable[[RunFolder], None], step: int, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> Trained:
    project = trainer.project()
    run = trainer.prepare(project, **WHOLE)
    after_step(step, lambda: arrange(run), monkeypatch)
    return trainer.do(run, project)


def test_nonsense_changes_nothing(trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    trained = trained_with(lambda run: made.extend(nonsense(run.control_dir)), 5, trainer, monkeypatch)
    assert trained.end["status"] == "finished", trained.end
    found = small_run.differences(trained.run, undisturbed.run)
    assert [line for line in found if "_asked_" not in line] == []  # some of it asked for pictures
    answers = trained.of("command")
    assert {answer["result"] for answer in answers} <= {"refused", "done"}
    assert len({answer["id"] for answer in answers}) == len(answers), "something was answered twice"
    folders = [path for path in made if path.is_dir()]
    assert [path.read_text() for folder in folders for path in folder.iterdir()] == ["somebody's own"]
    for path in made:
        assert path in folders or path.suffix == ".txt" or not os.path.lexists(path), "refused, and still there"


def test_a_command_among_nonsense_is_obeyed(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def arrange(run: RunFolder) -> None:
        nonsense(run.control_dir)
        sent.append(control.send(run, "stop"))

    trained = trained_with(arrange, 5, trainer, monkeypatch)
    assert trained.end["status"] == "stopped"
    assert [(a["command"], a["result"]) for a in trained.of("command") if a["id"] == sent[0]] == [("stop", "done")]


@pytest.mark.parametrize("what", ["a file", "gone"])
def test_a_control_folder_that_is_none(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def arrange(run: RunFolder) -> None:
        run.control_dir.rmdir()
        if what == "a file":
            run.control_dir.write_text("")

    trained = trained_with(arrange, 5, trainer, monkeypatch)
    assert trained.end["status"] == "finished"
    assert small_run.differences(trained.run, undisturbed.run) == []


def test_the_clock_goes_back_before_a_command(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that starts with a wrong clock gets the right one a minute later; commands must not look old then."""
    sent: list[str] = []

    def arrange(run: RunFolder) -> None:
        with monkeypatch.context() as patch:
            now = time.time_ns()
            patch.setattr(time, "time_ns", lambda: now - 3600 * 10**9)
            sent.append(control.send(run, "stop"))

    trained = trained_with(arrange, 5, trainer, monkeypatch)
    assert trained.end["status"] == "stopped"
    assert [answer["result"] for answer in trained.of("command")] == ["done"]
