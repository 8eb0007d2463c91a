"""The base model is downloaded by prompts: asked first, followed, stopped with Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.project import Project
from engine.runs import launch
from lora_tui import downloads
from tests.download.conftest import SDXL, safetensors
from tests.download.server import Server, serving
from tests.download.test_job import ENGINE
from tests.prompts.conversation import converse

OPTION = "pretrained_model_name_or_path"
MODEL = safetensors(SDXL)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(downloads, "SCHEMES", ("http", "https"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", f"{ENGINE}raise SystemExit(main())"))
    with serving() as running:
        yield running


def test_it_is_downloaded_after_a_question_and_taken(folder: Path, server: Server, tmp_path: Path) -> None:
    server.offer("/xl.safetensors", MODEL)
    said = converse(folder, "g 5", f"path {server.url('/xl.safetensors')}", "yes")
    assert "about 7 GB" in said.partition("<<'yes'>>")[0]
    assert "Downloaded." in said
    assert "it fits this model" in said
    assert Project.open(folder).settings[OPTION] == str(tmp_path / "models" / "xl.safetensors")
    assert (tmp_path / "models" / "xl.safetensors").read_bytes() == MODEL


def test_no_only_notes_it_down(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    said = converse(folder, "g 5", "path some/xl", "no")
    assert "It is noted down all the same" in said
    assert Project.open(folder).settings[OPTION] == "some/xl"


def test_ctrl_c_stops_it_and_nothing_is_noted_down(
    folder: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Project.open(folder).settings.get(OPTION)
    offer = server.offer("/xl.safetensors", MODEL)
    offer.breaks = [1_500_000, *[0] * 50]
    monkeypatch.setattr("lora_tui.prompts.talk.TOLD_SECONDS", 0.0)
    interrupted: list[str] = []

    def press_once(text: str) -> str:
        if "of 3.0 MB" in text and not interrupted:
            interrupted.append(text)
            os.kill(os.getpid(), signal.SIGINT)
        return text

    monkeypatch.setattr("lora_tui.prompts.talk.in_ascii", press_once)
    said = converse(folder, "g 5", f"path {server.url('/xl.safetensors')}", "yes")
    assert "Stopping." in said
    assert "what has come is kept" in said
    assert Project.open(folder).settings.get(OPTION) == before
    assert any((tmp_path / "models").glob("*.part"))
