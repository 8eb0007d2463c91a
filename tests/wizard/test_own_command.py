"""The command line by which one comes back, whether or not the shell would find `lora-tui`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lora_tui.own_command import own_command


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation in a folder that the shell does not look into."""
    path = tmp_path / "my venv" / "bin" / "lora-tui"
    path.parent.mkdir(parents=True)
    path.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.setenv("PATH", "/nowhere")
    return path


def test_the_name_alone_where_the_shell_finds_it(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(program.parent))
    assert own_command("train", "my project") == "lora-tui train 'my project'"


def test_its_path_where_the_shell_would_not_find_it(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_command() == f"'{program}'"
    monkeypatch.chdir(program.parents[2])
    assert own_command("zibo") == "'my venv/bin/lora-tui' zibo"


def test_another_installation_is_not_meant(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other" / "lora-tui"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", os.fspath(other.parent))
    assert own_command() == f"'{program}'"
