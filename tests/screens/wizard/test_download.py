"""The base model is downloaded from its step: asked first, stopped with Esc, taken when it is here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.project import Project
from engine.runs import launch
from lora_tui import downloads
from lora_tui.aside import aside
from lora_tui.widgets.line_input import LineInput
from tests.download.conftest import SDXL, safetensors
from tests.download.server import Server, serving
from tests.download.test_job import ENGINE
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, settle, until_said

OPTION = "pretrained_model_name_or_path"
MODEL = safetensors(SDXL)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "SCHEMES", ("http", "https"))
    monkeypatch.setattr("lora_tui.screens.download.TICK_SECONDS", 0.05)
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", f"{ENGINE}raise SystemExit(main())"))
    (tmp_path / "models").mkdir()
    with serving() as running:
        yield running


async def give(pilot: Pilot[None], what: str) -> None:
    """Type a path into the step of the base model, and take it."""
    await press(pilot, "5", "p")
    editor = pilot.app.focused
    assert isinstance(editor, LineInput)
    editor.value = what
    await press(pilot, "enter")


def test_a_url_is_offered_downloaded_and_taken(
    folder: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.offer("/xl.safetensors", MODEL)
    begun: list[Callable[[], None]] = []

    async def act(pilot: Pilot[None]) -> None:
        await give(pilot, server.url("/xl.safetensors"))
        assert "Download it" in text(pilot)
        assert "about 7 GB" in text(pilot)
        assert not server.seen
        with monkeypatch.context() as held:
            held.setattr("lora_tui.screens.download.aside", lambda *work: begun.append(partial(aside, *work)))
            await press(pilot, "enter")
            assert said(pilot)[1].startswith("Beginning to download")
        begun[0]()
        await until_said(pilot, "it fits this model")

    drive(folder, act)
    assert (tmp_path / "models" / "xl.safetensors").read_bytes() == MODEL
    assert Project.open(folder).settings[OPTION] == str(tmp_path / "models" / "xl.safetensors")


def test_escape_stops_it_and_it_goes_on_later(
    folder: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = server.offer("/xl.safetensors", MODEL)
    offer.breaks = [1_500_000, *[0] * 50]

    async def act(pilot: Pilot[None]) -> None:
        await give(pilot, server.url("/xl.safetensors"))
        await press(pilot, "enter")
        await until_said(pilot, "Downloading xl.safetensors: 1.4 MB of 3.0 MB")
        with monkeypatch.context() as unknown:
            unknown.setattr("lora_tui.screens.download.how_far", lambda seen: "")  # as before the first byte
            await until_said(pilot, "Downloading xl.safetensors… Esc stops it.")
        await press(pilot, "escape")
        await until_said(pilot, "what has come is kept")
        assert "5 of 9" in text(pilot)
        offer.breaks = []
        await give(pilot, server.url("/xl.safetensors"))
        assert "are here already" in text(pilot)
        await press(pilot, "enter")
        await until_said(pilot, "it fits this model")

    drive(folder, act)
    assert (tmp_path / "models" / "xl.safetensors").read_bytes() == MODEL
    assert "Range" in server.seen[-1].headers


def test_one_that_goes_on_is_shown_again_after_the_app_was_left(folder: Path, server: Server, tmp_path: Path) -> None:
    offer = server.offer("/xl.safetensors", MODEL)
    offer.breaks = [1_500_000, *[0] * 50]
    before = Project.open(folder).settings.get(OPTION)

    async def begin(pilot: Pilot[None]) -> None:
        await give(pilot, server.url("/xl.safetensors"))
        await press(pilot, "enter")
        await until_said(pilot, "Downloading xl.safetensors: 1.4 MB of 3.0 MB")

    async def come_back(pilot: Pilot[None]) -> None:
        await press(pilot, "5")
        await until_said(pilot, "Downloading xl.safetensors: 1.4 MB of 3.0 MB")
        offer.breaks = []
        await until_said(pilot, "Downloaded.")
        await settle(pilot)
        assert "xl.safetensors" in text(pilot)  # among the models on this machine, to be chosen

    drive(folder, begin)
    drive(folder, come_back)
    assert (tmp_path / "models" / "xl.safetensors").read_bytes() == MODEL
    assert Project.open(folder).settings.get(OPTION) == before  # another project may have asked for it


def test_what_goes_wrong_is_said_and_nothing_is_noted_down(folder: Path, server: Server) -> None:
    before = Project.open(folder).settings.get(OPTION)

    async def act(pilot: Pilot[None]) -> None:
        await give(pilot, server.url("/nothing.safetensors"))
        await press(pilot, "enter")
        await until_said(pilot, "There is no")
        assert said(pilot)[0] == "x"
        await give(pilot, "https://civitai.com/api/download/models/1?token=abc")
        assert "CIVITAI_TOKEN" in said(pilot)[1]
        await give(pilot, server.url("/nothing.safetensors"))
        await press(pilot, "escape")
        await asyncio.sleep(0.1)

    drive(folder, act)
    assert Project.open(folder).settings.get(OPTION) == before
    assert len(server.seen) == 1


def test_a_name_on_hugging_face_may_only_be_noted_down(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    async def act(pilot: Pilot[None]) -> None:
        await give(pilot, "some/xl")
        await press(pilot, "down", "enter")
        assert "lora-tui download some/xl" in said(pilot)[1]

    drive(folder, act)
    assert Project.open(folder).settings[OPTION] == "some/xl"
