"""A run that may be at work on another machine is looked at, and not touched unless somebody says that it is not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from benchmarks.recorded import record
from engine.plan.errors import UserError
from engine.runs.checkpoints import list_checkpoints
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.removal import remove_checkpoints, remove_run
from engine.runs.resume import prepare, resumable
from engine.runs.state import observe
from lora_tui.cli import main


@pytest.fixture
def elsewhere(tmp_path: Path) -> RunFolder:
    """A run of a machine called "pod-7", which has not said that it ended."""
    run = record(tmp_path / "zibo" / "runs" / "2026-11-22_153012", 600, "died", samples=False)
    moved(run)
    assert observe(run).state == "unknown"
    return run


def moved(run: RunFolder, acquired: float | None = None) -> None:
    said = json.loads(run.lock_path.read_text())
    said["host"] = "pod-7"
    if acquired is not None:
        said["acquired"] = acquired
    run.lock_path.write_text(json.dumps(said))


def refused(act: object, *arguments: object) -> UserError:
    with pytest.raises(UserError) as caught:
        act(*arguments)  # type: ignore[operator]
    return caught.value


def test_nothing_touches_it_without_being_told_to(elsewhere: RunFolder) -> None:
    checkpoints = list_checkpoints(elsewhere)
    for act, more in ((prepare, ()), (remove_run, ()), (remove_checkpoints, (checkpoints,))):
        error = refused(act, elsewhere, *more)
        assert error.code == "elsewhere"
        assert "pod-7" in error.message
        assert "--take-over" in error.hint
    assert not resumable(elsewhere, observe(elsewhere))
    assert list_checkpoints(elsewhere) == checkpoints


def test_somebody_takes_it_over(elsewhere: RunFolder) -> None:
    prepare(elsewhere, take_over=True)
    remove_checkpoints(elsewhere, list_checkpoints(elsewhere)[:1], take_over=True)
    assert len(list_checkpoints(elsewhere)) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "remove", "{run}", "--yes"],
        ["runs", "remove-checkpoints", "{run}", "--yes"],
        ["resume", "{run}"],
        ["train", "{run}", "--resume"],
        ["stop", "{run}"],
        ["checkpoint", "{run}"],
    ],
)
def test_every_command_refuses_at_once(
    elsewhere: RunFolder, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in elsewhere.path.rglob("*"))
    with pytest.raises(SystemExit) as left:
        main([word.format(run=elsewhere.path) for word in words])
    assert left.value.code == 1
    assert "pod-7" in capsys.readouterr().err
    assert sorted(path.name for path in elsewhere.path.rglob("*")) == before


def test_a_run_that_was_over_before_it_was_moved_is_over(tmp_path: Path) -> None:
    run = record(tmp_path / "zibo" / "runs" / "1", 600, "finished", samples=False)
    moved(run)
    assert observe(run).state == "finished"


def test_a_run_that_was_begun_again_elsewhere_is_not_over(tmp_path: Path) -> None:
    run = record(tmp_path / "zibo" / "runs" / "1", 600, "finished", samples=False)
    moved(run, acquired=time.time() + 1e6)
    assert observe(run).state == "unknown"
    assert refused(remove_run, run).code == "elsewhere"


def test_a_lock_that_tells_nothing_is_no_invitation(tmp_path: Path) -> None:
    run = record(tmp_path / "zibo" / "runs" / "1", 600, "died", samples=False)
    run.lock_path.unlink()
    run.lock_path.symlink_to(tmp_path / "somewhere")
    assert observe(run).state == "unknown"
    assert refused(prepare, run, None, None, True).code == "unreadable-lock"
    with EventWriter(run.events_path):
        pass
