"""Logs that are cut, damaged or full of what no engine writes: every way of looking at a run shows it all the same."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from benchmarks import small_run
from benchmarks.recorded import hold, record
from engine.runs import control
from engine.runs.events import read_all
from engine.runs.folder import RunFolder
from engine.runs.state import observe
from lora_tui.cli import main
from lora_tui.screens.dashboard import Dashboard
from tests.faults.conftest import WHOLE, after_step, go_on
from tests.screens.app_test import drive, text
from tests.training import Trained, Trainer

HOSTILE = "\x1b[2J\x1b]0;title\x07\x1bP\x9b31m\r\b\x7f\u202e[bold red]x[/] [@click=app.quit]"
VALUES: list[Any] = [
    None, True, -1, 10**400, 1e308, -0.0, "", "7", HOSTILE, "x" * 5000, "line\nline", [], [1], {}, {"unet": HOSTILE},
    {HOSTILE: 1e-4}, "../../../etc/passwd", "a\0b", "\udcff",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
KEYS = ("l", "escape", "g", "right", "escape", "question_mark", "escape", "tab", "tab", "tab", "y", "w")


def variations(run: RunFolder, value: object) -> bytes:
    """One event of each kind, with each of its fields in turn replaced by `value`, in among good ones."""
    by_kind = {event["kind"]: event for event in read_all(run.events_path)}
    lines = []
    for kind, event in by_kind.items():
        for name in event:
            changed = {**event, name: value}
            lines.append(json.dumps(changed, ensure_ascii=True))
        if kind != "end":
            lines.append(json.dumps(event))
    return "\n".join(lines).encode("utf-8", "backslashreplace") + b"\n"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunFolder]:
    run = record(tmp_path / "zibo" / "runs" / "2026-11-22_153012", steps=400, samples=True)
    with hold(run):
        yield run


@pytest.mark.parametrize("size", ["small", "wide"])
def test_no_value_in_any_field_breaks_a_screen(running: RunFolder, size: str) -> None:
    running.log_path.write_bytes(f"{HOSTILE}\n".encode() * 50 + os.urandom(2000))
    chunks = [variations(running, value) for value in VALUES]

    async def act(pilot: Pilot[None]) -> None:
        for number, chunk in enumerate(chunks):
            with running.events_path.open("ab") as file:
                file.write(chunk)
            await read_to_the_end(pilot, running)
            assert CONTROL.findall(text(pilot)) == []
            for key in KEYS if number % 4 == 3 else ():
                await pilot.press(key)
                assert CONTROL.findall(text(pilot)) == []

    app = drive(lambda: Dashboard(running), act, size)
    assert not app.crashed


@pytest.mark.parametrize("opens", ["action_samples", "action_log"])
def test_a_screen_that_is_just_opening_does_not_stop_the_dashboard(running: RunFolder, opens: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        dashboard = pilot.app.screen
        assert isinstance(dashboard, Dashboard)
        assert dashboard.seen is not None
        getattr(dashboard, opens)()
        assert pilot.app.screen is not dashboard
        dashboard.paint(dashboard.seen)  # before the new screen has any widgets

    assert not drive(lambda: Dashboard(running), act).crashed


async def read_to_the_end(pilot: Pilot[None], run: RunFolder) -> None:
    """Until the dashboard has shown the newest event."""
    dashboard = next(screen for screen in pilot.app.screen_stack if isinstance(screen, Dashboard))
    while dashboard.view._reader._offset < run.events_path.stat().st_size:
        assert pilot.app.is_running
        await asyncio.sleep(0.02)
    await pilot.pause()


@pytest.mark.parametrize("ending", ["died", "finished", "failed"])
def test_no_value_in_any_field_breaks_a_line_of_text(
    tmp_path: Path, ending: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "zibo"
    run = record(project / "runs" / "2026-11-22_153012", steps=400, ending=ending, samples=False)
    run.log_path.write_bytes(f"{HOSTILE}\n".encode() * 50 + os.urandom(2000))
    chunks = [variations(run, value) for value in VALUES]
    last = run.events_path.read_bytes().splitlines(keepends=True)[-1]
    with run.events_path.open("ab") as file:
        for chunk in chunks:
            file.write(chunk)
        file.write(last)
    for words in (["watch", "--plain", str(run.path)], ["runs", str(project)], ["runs", str(project), "--json"]):
        with pytest.raises(SystemExit):
            main(words)
        out, err = capsys.readouterr()
        assert "inside lora-tui" not in err  # a fault of ours
        assert "Traceback" not in err
        assert CONTROL.findall(out + err) == [], words
        assert out or err
        if "--json" in words:
            assert len(json.loads(out)["runs"]) == 1


def damaged(trained: Trained, how: str) -> None:
    path = trained.run.events_path
    lines = path.read_bytes().splitlines(keepends=True)
    phases = [number for number, line in enumerate(lines) if b'"phase"' in line]
    if how == "cut in the middle of a line":
        lines[-1] = lines[-1][: len(lines[-1]) // 2]
    elif how == "damaged in the middle":
        lines[phases[4]] = os.urandom(300).replace(b"\n", b"") + b"\n"
        lines[phases[5]] = lines[phases[5]][:20] + b"\0" * 5000 + b"\n"
        lines[phases[6]] = lines[phases[6]][:30]  # its newline is gone: two lines are one
    path.write_bytes(b"".join(lines))


def stopped(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """A training that was asked to stop at the end of its second epoch."""
    project = trainer.project()
    run = trainer.prepare(project, **WHOLE)
    with monkeypatch.context() as patch:
        after_step(6, lambda: control.send(run, "stop"), patch)
        trained = trainer.do(run, project)
    assert trained.end["status"] == "stopped"
    return trained


@pytest.mark.parametrize("how", ["cut in the middle of a line", "damaged in the middle"])
def test_a_damaged_log_is_gone_on_with(
    trainer: Trainer, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    trained = stopped(trainer, monkeypatch)
    damaged(trained, how)
    observe(trained.run)
    again = go_on(trainer, trained)
    assert (again.end["status"], observe(again.run).state) == ("finished", "finished")
    assert small_run.differences(again.run, undisturbed.run) == []
    assert observe(again.run).snapshot.steps[-1] == 12


@pytest.mark.parametrize("how", [Path.unlink, lambda path: path.write_bytes(os.urandom(100_000))])
def test_checkpoints_do_not_need_the_log(
    trainer: Trainer,
    undisturbed: Trained,
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Path], object],
) -> None:
    trained = stopped(trainer, monkeypatch)
    how(trained.run.events_path)
    again = go_on(trainer, trained)
    found = small_run.differences(again.run, undisturbed.run)
    assert [line for line in found if not line.startswith("steps:")] == []
    assert [step["step"] for step in small_run.steps(again.run)] == list(range(7, 13)), "it began anew"
