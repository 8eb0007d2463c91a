"""What is being typed: the keys that work then, and that a lost connection or a broken file loses none of it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from engine.plan.project import Project
from lora_tui.widgets import form
from lora_tui.widgets.form import Form, RowInput, RowPath
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, settle, type_in


def hints(pilot: Pilot[None]) -> str:
    return text(pilot).splitlines()[-1].strip()


def test_the_hints_are_those_of_the_editor_and_still_tell_of_help_and_leaving(folder: Path) -> None:
    pinned = "Esc ? help  Esc q leave"

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "1", "enter")
        assert hints(pilot) == f"Enter take it  Esc leave it  {pinned}"
        await press(pilot, "escape", "4", "enter")
        assert hints(pilot) == f"Enter save, next  Tab pick a word  Esc save, stop  {pinned}"
        await press(pilot, "escape", "5", "p")
        assert hints(pilot) == f"Enter take it  Tab complete  Esc leave it  {pinned}"
        await press(pilot, "escape", "escape", "o")
        assert hints(pilot) == f"Enter take it  Tab complete  Esc leave it  {pinned}"
        await press(pilot, "escape", "a", "enter")
        assert hints(pilot) == f"Enter take it  Esc leave it  {pinned}"
        await press(pilot, "escape")
        assert hints(pilot).startswith("m make it")

    drive(folder, act, "small")


@pytest.mark.parametrize(("step", "keys", "row"), [("6", 2, "train_batch_size"), ("1", 1, "trigger")])
def test_a_row_that_is_half_typed_is_open_again_after_a_lost_connection(
    folder: Path,
    step: str,
    keys: int,
    row: str,
) -> None:
    async def be_cut_off(pilot: Pilot[None]) -> None:
        await press(pilot, step, *["down"] * keys, "enter")
        await type_in(pilot, "12")  # and the app ends, as on SIGHUP

    async def come_back(pilot: Pilot[None]) -> None:
        editor = pilot.app.focused
        assert isinstance(editor, RowInput)
        assert (editor.value, pilot.app.screen.query_one(Form).here) == ("12", row)
        assert "Enter takes it" in said(pilot)[1]
        await press(pilot, "3", "enter")
        assert pilot.app.focused is None

    async def be_there(pilot: Pilot[None]) -> None:
        assert pilot.app.focused is None
        assert "123" in text(pilot)

    for act in (be_cut_off, come_back, be_there):
        drive(folder, act)


def test_a_row_that_was_only_opened_stays_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "KEEP_SECONDS", 0.02)

    async def open_it(pilot: Pilot[None]) -> None:
        await press(pilot, "6", "down", "down", "enter")
        await asyncio.sleep(0.2)

    async def come_back(pilot: Pilot[None]) -> None:
        assert pilot.app.focused is None

    drive(folder, open_it)
    drive(folder, come_back)


def test_a_new_projects_row_that_is_half_typed_is_open_again(tmp_path: Path) -> None:
    async def be_cut_off(pilot: Pilot[None]) -> None:
        await press(pilot, "a", "down", "down", "down", "enter")
        await type_in(pilot, "/some")

    async def come_back(pilot: Pilot[None]) -> None:
        await press(pilot, "a")
        editor = pilot.app.focused
        assert isinstance(editor, RowPath)
        assert editor.value == "/some"
        await press(pilot, "escape")

    async def be_there(pilot: Pilot[None]) -> None:
        await press(pilot, "a")
        assert pilot.app.focused is None

    for act in (be_cut_off, come_back, be_there):
        drive(None, act)


def test_what_is_typed_takes_the_place_of_a_whole_path_and_nothing_shows_beside_it(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "5", "p", *"new")
        editor = pilot.app.focused
        assert isinstance(editor, RowPath)
        assert editor.value == "new"
        await press(pilot, "escape", "p", "right", "x")
        assert editor.value == "microx"
        await press(pilot, "escape", "escape", "a", "down", "down", "down", "enter")
        assert "may come later" in text(pilot)  # regularisation's
        assert text(pilot).count("may come") == 1

    drive(folder, act)


def test_a_base_model_is_looked_at_as_it_is_typed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words.safetensors").write_bytes(b"no weights")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "5", "p")
        await type_in(pilot, str(tmp_path / "wor"))
        assert said(pilot)[0] == "ok"  # half a path is not wrong yet
        await press(pilot, *"ds", "full_stop", *"safetensors")
        assert said(pilot)[0] == "x"
        assert "words.safetensors" in said(pilot)[1]
        await type_in(pilot, "micro")
        assert said(pilot) == ("ok", "micro: the practice model, for trying things out. Enter takes it.")

    drive(folder, act)


def test_several_pasted_lines_become_one(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter")
        editor = pilot.app.focused
        assert isinstance(editor, RowInput)
        editor.value = ""
        editor.post_message(events.Paste("ohwx, a man\r\n  in a hat\n\nat night\n"))
        await settle(pilot)
        assert editor.value == "ohwx, a man in a hat at night"

    drive(folder, act)


def test_a_folder_of_pictures_that_is_opened_becomes_a_new_project(folder: Path) -> None:
    pictures = folder / "img" / "2_ohwx man"
    loose = folder.with_name("my holiday pics")
    shutil.copytree(pictures, loose)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "o")
        await type_in(pilot, str(loose))
        await press(pilot, "enter")
        assert "is not a project" in " ".join(text(pilot).split())
        await press(pilot, "down", "enter")
        assert str(loose) in text(pilot)
        assert "Make the project" in text(pilot)

    drive(None, act)


def test_changes_that_wait_for_a_broken_file_are_written_at_the_next_start(folder: Path) -> None:
    path = folder / "project.toml"
    good = path.read_text()

    async def change(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        path.write_text("[settings\n")
        await press(pilot, "down", "down", "right")
        assert "kept, and written once this is mended" in said(pilot)[1]
        await press(pilot, "q")
        assert pilot.app._exit  # it leaves without a question

    async def come_back(pilot: Pilot[None]) -> None:
        assert "Written now what waited since the last time: Batch size." in said(pilot)[1]
        await press(pilot, "n")
        assert "Written now" not in said(pilot)[1]

    drive(folder, change)
    path.write_text(good)
    drive(folder, come_back)
    assert Project.open(folder).settings["train_batch_size"] == 3


def test_leaving_asks_where_no_folder_takes_the_changes(folder: Path, tmp_path: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        (folder / "project.toml").write_text("[settings\n")
        shutil.rmtree(folder / ".lora-tui")
        (folder / ".lora-tui").touch()
        (tmp_path / "state" / "lora-tui" / "projects").touch()
        await press(pilot, "down", "down", "right")
        assert "lost if you left" in said(pilot)[1]
        await press(pilot, "q")
        assert "Your changes are not saved." in text(pilot)
        await press(pilot, "enter")
        assert "6 of 9" in text(pilot)
        await press(pilot, "q", "down", "enter")
        assert pilot.app._exit

    assert not drive(folder, act).crashed


def test_a_pasted_caption_does_not_get_its_trigger_twice(folder: Path) -> None:
    caption = folder / "img" / "2_ohwx man" / "01.txt"
    caption.unlink()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "m", "enter")
        editor = pilot.app.focused
        assert isinstance(editor, RowInput)
        assert editor.value == "ohwx, "
        editor.post_message(events.Paste("ohwx, a man at night"))
        await settle(pilot)
        await press(pilot, "escape")

    drive(folder, act)
    assert caption.read_text() == "ohwx, a man at night\n"


@pytest.mark.parametrize(
    ("step", "row", "typed", "mark", "words"),
    [
        ("1", "trigger", "cat", "!", "cat"),
        ("1", "trigger", "a/b", "x", "Letters, digits and spaces"),
        ("1", "repeats 2_ohwx man", "abc", "x", "whole number"),
        ("1", "name", "zibo", "ok", "Enter takes it"),
    ],
)
def test_texts_are_checked_as_they_are_typed(
    folder: Path, step: str, row: str, typed: str, mark: str, words: str
) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, step)
        pilot.app.screen.query_one(Form).choose(row)
        await press(pilot, "enter")
        await type_in(pilot, typed)
        assert (said(pilot)[0], words in said(pilot)[1]) == (mark, True)

    drive(folder, act)
