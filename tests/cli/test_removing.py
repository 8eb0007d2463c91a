"""`runs`, `runs remove` and `runs remove-checkpoints` as a person meets them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect
import pytest

from benchmarks.recorded import record
from engine.runs.checkpoints import list_checkpoints
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import RunLock


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A project with a finished and a failed run."""
    project = tmp_path / "zibo"
    record(project / "runs" / "2026-11-20_120000", steps=300, ending="finished", samples=False)
    record(project / "runs" / "2026-11-21_120000", steps=300, ending="failed", samples=False)
    (project / "project.toml").write_text("")
    monkeypatch.chdir(project)
    return project


def runs(folder: Path) -> list[RunFolder]:
    return list_runs(folder)


def test_the_list_names_checkpoints_from_the_disk(lora_tui, folder):
    first = lora_tui("runs", folder, "--json").json["runs"][0]
    assert [one["step"] for one in first["checkpoints"]] == [one.step for one in list_checkpoints(runs(folder)[0])]
    lora_tui("runs", "remove-checkpoints", "2026-11-20_120000", "--yes")
    assert lora_tui("runs", "--json").json["runs"][0]["checkpoints"] == []
    lines = lora_tui("runs").out.splitlines()
    assert len(lines) == 2
    assert "finished  step 300/300  loss" in lines[0]
    assert "\x1b" not in lines[0]


def test_nothing_is_deleted_where_nobody_can_be_asked(lora_tui, folder):
    for command in ("remove", "remove-checkpoints"):
        answer = lora_tui("runs", command, "last", "--json")
        assert (answer.code, answer.json["error"]["code"]) == (1, "not-confirmed")
    assert [len(list_checkpoints(run)) for run in runs(folder)] == [2, 1]


def test_removing_several_runs(lora_tui, folder):
    first, second = runs(folder)
    answer = lora_tui("runs", "remove", first.name, second.path, second.path, "--yes", "--json")
    assert answer.code == 0
    assert [one["run"] for one in answer.json["removed"]] == [first.name, second.name]
    assert answer.json["bytes"] > 0
    assert runs(folder) == []


def test_all_are_looked_at_before_any_is_removed(lora_tui, folder, tmp_path):
    first, second = runs(folder)
    with RunLock.acquire(second):
        answer = lora_tui("runs", "remove", first.name, second.name, "--yes", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "run-busy")
    assert f"lora-tui stop {second.path}" in answer.err
    assert lora_tui("runs", "remove", first.name, "nonsense", "--yes", "--json").code == 1
    assert lora_tui("runs", "remove", folder, "--yes", "--json").code == 1  # a project is no run
    assert runs(folder) == [first, second]


def test_the_newest_checkpoints_can_stay(lora_tui, folder):
    first, _ = runs(folder)
    newest = list_checkpoints(first)[-1]
    answer = lora_tui("runs", "remove-checkpoints", first.name, "--keep", "1", "--yes")
    assert "resumed" not in answer.err
    assert list_checkpoints(first) == [newest]
    assert "no longer be resumed" in lora_tui("runs", "remove-checkpoints", first.name, "--yes").err


def test_enter_means_no(folder):
    """In a real terminal, and the table that people see there."""
    env = dict(os.environ, COLUMNS="80", PYTHONPATH=str(Path(__file__).parents[2]))
    command = ["-c", "from lora_tui.cli import main; main()"]
    front = pexpect.spawn(
        sys.executable, [*command, "runs", "remove", "last"], cwd=str(folder), env=env, encoding="utf-8", timeout=30
    )
    front.expect(r"Delete 1 run .*\[y/N\]")
    front.sendline("")
    front.expect("Nothing was deleted")
    front.expect(pexpect.EOF)
    front.close()
    assert front.exitstatus == 1
    assert len(runs(folder)) == 2
    table = pexpect.spawn(
        sys.executable, [*command, "runs"], cwd=str(folder), env=env, encoding="utf-8", dimensions=(24, 80)
    )
    table.expect(pexpect.EOF, timeout=30)
    assert table.before is not None
    lines = table.before.splitlines()
    assert "Last word" in lines[0]
    assert len(lines) == 4  # a heading, two runs, and what there is to say of the failed one
