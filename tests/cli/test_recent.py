"""The list of recent projects: newest first, tolerant of damage, safe with two terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lora_tui import recent


def made(tmp_path: Path, *names: str) -> list[Path]:
    folders = [tmp_path / name for name in names]
    for folder in folders:
        folder.mkdir()
    return folders


def test_newest_first_and_each_once(tmp_path):
    one, two = made(tmp_path, "one", "two")
    assert recent.projects() == []
    for project in (one, two, one):
        recent.remember(project)
    assert recent.projects() == [one, two]


def test_a_vanished_folder_is_not_shown_and_comes_back(tmp_path):
    one, two = made(tmp_path, "one", "two")
    recent.remember(one)
    one.rename(tmp_path / "elsewhere")
    recent.remember(two)
    assert recent.projects() == [two]
    (tmp_path / "elsewhere").rename(one)
    assert recent.projects() == [two, one]


def test_at_most_fifty(tmp_path):
    for project in made(tmp_path, *(f"p{number}" for number in range(53))):
        recent.remember(project)
    assert [path.name for path in recent.projects()] == [f"p{number}" for number in range(52, 2, -1)]


@pytest.mark.parametrize(
    "damage",
    [b"", b"\xff\x00", b"[]", b'{"projects": 3}', b'{"projects": [1, null, "relative", "/x\\u0000y"]}', b"[" * 9000],
)
def test_damage_is_an_empty_list_and_heals(tmp_path, damage):
    (one,) = made(tmp_path, "one")
    recent.remember(one)
    recent.list_path().write_bytes(damage)
    assert recent.projects() == []
    recent.remember(one)
    assert recent.projects() == [one]


def test_a_name_that_is_not_utf8(tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    recent.remember(odd)
    assert recent.projects() == [odd]


def test_a_disk_that_refuses_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))  # a file where a folder should be
    recent.remember(tmp_path)
    assert recent.projects() == []


def test_many_terminals_at_once_lose_nothing(tmp_path):
    projects = made(tmp_path, *(f"p{number}" for number in range(6)))
    script = "import sys; from pathlib import Path; from lora_tui.recent import remember; remember(Path(sys.argv[1]))"
    running = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for path in projects]
    assert [process.wait() for process in running] == [0] * 6
    assert sorted(recent.projects()) == projects
    assert json.loads(recent.list_path().read_text())["v"] == 1
