"""Links in a run folder that a stranger made: nothing is written through them into a file of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.errors import UserError
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.launch import launch
from engine.runs.lock import RunLock, look
from engine.runs.log import trim


@pytest.mark.parametrize("name", ["lock", "events.jsonl", "engine.log"])
def test_what_a_link_leads_to_stays_as_it_is(tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("precious " * 100)
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    (run.path / name).symlink_to(mine)
    writes = {
        "lock": lambda: RunLock.acquire(run),
        "events.jsonl": lambda: EventWriter(run.events_path),
        "engine.log": lambda: launch(run, ["true"]),
    }
    with pytest.raises(UserError) as refused:
        writes[name]()
    assert refused.value.code == "is-a-link"
    assert not trim(run.path / name, limit=1, kept=1)
    assert mine.read_text() == "precious " * 100
    if name == "lock":
        assert look(run).status == "unreadable"


def test_a_link_to_the_run_folder_is_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "run")
    with RunLock.acquire(RunFolder(tmp_path / "run")):
        assert look(RunFolder(tmp_path / "other")).status == "held"
