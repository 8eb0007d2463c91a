"""The line a path is typed into: Tab, pasting, and a disk that takes its time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen

from lora_tui.paths import complete
from lora_tui.widgets import path_input
from lora_tui.widgets.path_input import PathInput
from tests.screens.app_test import drive, press, text


class Form(Screen[None]):
    def __init__(self, value: str, **wanted: object) -> None:
        super().__init__()
        self.value, self.wanted = value, wanted
        self.heard: list[PathInput.Completed] = []

    def compose(self) -> ComposeResult:
        yield PathInput(self.value, **self.wanted)  # type: ignore[arg-type]

    def on_mount(self) -> None:
        self.query_one(PathInput).focus()

    def on_path_input_completed(self, event: PathInput.Completed) -> None:
        self.heard.append(event)


def at_the_keys(value: str, act: Callable[[Pilot[None], PathInput], Awaitable[None]], **wanted: object) -> Form:
    form = Form(value, **wanted)

    async def run(pilot: Pilot[None]) -> None:
        await act(pilot, form.query_one(PathInput))

    drive(lambda: form, run, "small")
    return form


async def paste(pilot: Pilot[None], typed: PathInput, pasted: str) -> None:
    typed.post_message(events.Paste(pasted))
    await press(pilot)


def test_tab_completes_and_tells_what_fits(tmp_path: Path):
    for name in ("img", "image", "reg"):
        (tmp_path / name).mkdir()

    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        await press(pilot, "i", "tab")
        assert typed.value == f"{tmp_path}/im"
        assert typed.has_focus
        await press(pilot, "g", "tab")
        assert typed.value == f"{tmp_path}/img/"
        assert typed.cursor_at_end

    form = at_the_keys(f"{tmp_path}/", act)
    assert [event.candidates for event in form.heard] == [("image/", "img/"), ("img/",)]


def test_tab_completes_before_the_cursor_and_keeps_what_follows(tmp_path: Path):
    (tmp_path / "pictures" / "face").mkdir(parents=True)

    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        typed.cursor_position = len(f"{tmp_path}/pic")
        await press(pilot, "tab")
        assert typed.value == f"{tmp_path}/pictures/face"
        assert typed.cursor_position == len(f"{tmp_path}/pictures/")

    at_the_keys(f"{tmp_path}/pic/face", act)


def test_only_what_is_asked_for_is_completed(tmp_path: Path):
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "model.ckpt").touch()

    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        await press(pilot, "tab")
        assert typed.value == "model.safetensors"

    at_the_keys("mo", act, suffixes=(".safetensors",), start=str(tmp_path))


def test_pasted_path_is_cleaned_and_takes_the_place_of_what_was_there():
    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        await paste(pilot, typed, " '/data/my pictures'\n")
        assert typed.value == "/data/my pictures"
        await paste(pilot, typed, "file:///other%20place\r\n")
        assert typed.value == "/other place"
        assert typed.cursor_at_end

    at_the_keys("/root/", act)


def test_pasted_part_goes_where_the_cursor_is():
    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        await paste(pilot, typed, "my\\ pictures")
        assert typed.value == "/data/my pictures"
        await paste(pilot, typed, "\n \n")
        assert typed.value == "/data/my pictures"

    at_the_keys("/data/", act)


def test_typed_quotes_are_no_part_of_the_path():
    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        assert typed.value.startswith("'")
        assert typed.path == "/data/my pictures"

    at_the_keys("'/data/my pictures' ", act)


def test_slow_disk_keeps_nobody_from_typing(tmp_path: Path, monkeypatch):
    (tmp_path / "img").mkdir()
    answer, asked = threading.Event(), []

    def slow(*args: object, **kwargs: object) -> object:
        asked.append(args)
        answer.wait(20)
        return complete(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(path_input, "complete", slow)

    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        await press(pilot, "tab", "tab", "x", "y")
        assert typed.value == f"{tmp_path}/ixy"
        answer.set()
        await asyncio.sleep(0.1)
        await press(pilot)
        assert typed.value == f"{tmp_path}/ixy"  # the answer came too late

    form = at_the_keys(f"{tmp_path}/i", act)
    assert len(asked) == 1
    assert form.heard == []


def test_hostile_value_is_shown_inert_and_kept():
    hostile = os.fsdecode(b"/data/\x1b[2J\xff") + "[red]x\u202e\n"

    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        shown = text(pilot)
        assert "/data/?[2J?[red]x??" in shown
        assert typed.value == hostile
        await press(pilot, "left", "left", "tab", "end")

    at_the_keys(hostile, act)


def test_cursor_does_not_blink():
    async def act(pilot: Pilot[None], typed: PathInput) -> None:
        assert not typed.cursor_blink

    at_the_keys("", act)
