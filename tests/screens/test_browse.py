"""Walking through folders: what is shown, what can be taken, and folders that are large, slow, gone or hostile."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from lora_tui import folder_contents
from lora_tui.app import LoraTui
from lora_tui.folder_contents import MOST_ENTRIES, Contents, read
from lora_tui.look import Look
from lora_tui.screens import browse
from lora_tui.screens.browse import Browse
from lora_tui.screens.help import Help
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.path_input import PathInput
from lora_tui.widgets.status import Status
from tests.screens.app_test import text, until

SIZES = [(60, 20), (80, 24), (120, 40)]
NOTHING = Path("/nothing was taken")
Act = Callable[[Pilot[None]], Awaitable[None]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "data"
    for number in range(30):
        path = home / "pictures" / "25_zibo man" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (home / "pictures" / "cover.JPG").write_bytes(b"x" * 2500)
    (home / "empty").mkdir()
    (home / ".hidden").mkdir()
    (home / "project").mkdir()
    (home / "project" / "project.toml").touch()
    (home / "model.safetensors").write_bytes(b"x" * 12_000)
    (home / "notes.txt").write_text("x")
    return home


def walk(screen: Browse, act: Act, size: tuple[int, int] = (80, 24), look: Look | None = None) -> Path | None:
    """What was taken; NOTHING where the screen is still there."""
    taken: list[Path | None] = []

    async def run() -> None:
        app = LoraTui(lambda: screen, look)  # type: ignore[arg-type, return-value]
        app._start = lambda: Help([])  # something to come back to
        async with app.run_test(size=size) as pilot:
            app.push_screen(screen, taken.append)
            await settle(pilot)
            await act(pilot)
            await settle(pilot)

    asyncio.run(run())
    return taken[0] if taken else NOTHING


async def settle(pilot: Pilot[None]) -> None:
    """Until the disk has answered and all in sight has been looked at."""

    def answered() -> bool:
        screen = pilot.app.screen
        return not isinstance(screen, Browse) or not (screen._waiting or screen._taking or screen._looking >= 0)

    await pilot.pause()
    await until(pilot, answered)
    await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def here(pilot: Pilot[None]) -> str:
    """The row that is chosen."""
    return next(row for row in text(pilot).splitlines() if row.startswith((" ▸", " >"))).strip(" ▸>")


def said(pilot: Pilot[None]) -> tuple[str, str]:
    return pilot.app.screen.query_one(Status).said


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_everything_has_its_place_at_every_size(folder, size, ascii_only):
    async def act(pilot: Pilot[None]) -> None:
        shown = text(pilot)
        rows = shown.splitlines()
        assert len(rows) == size[1]
        assert max(len(row) for row in rows) <= size[0]
        assert rows[0].startswith(" Choose a folder   3 folders")
        assert rows[1].endswith("data")
        assert any(row.split()[:1] == ["empty/"] and row.endswith("empty") for row in rows)
        assert any(row.split()[:1] == ["pictures/"] and row.endswith("1 picture") for row in rows)
        assert any(row.split()[:1] == ["project/"] and row.endswith("a project") for row in rows)
        assert any(row.split()[:1] == ["notes.txt"] and row.endswith("1 bytes") for row in rows)
        assert "hidden/" not in shown
        assert rows[-1].endswith("? help  q leave")
        assert shown.isascii() or not ascii_only
        await press(pilot, "slash")
        assert "Enter go there  Tab complete  Esc " in text(pilot)
        assert len(text(pilot).splitlines()) == size[1]

    assert walk(Browse(folder), act, size, Look(ascii_only=ascii_only)) == NOTHING


def test_enter_goes_in_and_takes_the_folder_one_is_in(folder):
    async def act(pilot: Pilot[None]) -> None:
        assert here(pilot) == "Take this folder"
        await press(pilot, "down", "down", "enter", "down", "right")
        assert "30 pictures" in text(pilot).splitlines()[0]
        assert said(pilot) == ("ok", "Enter takes this folder.")
        await press(pilot, "enter")

    assert walk(Browse(folder), act) == folder / "pictures" / "25_zibo man"


def test_a_letter_takes_the_folder_that_is_highlighted(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "down", "down", "t")

    assert walk(Browse(folder), act) == folder / "pictures"


def test_going_up_stands_on_where_one_came_from(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "down", "down", "right", "left")
        assert here(pilot).startswith("pictures/")
        await press(pilot, "left", "left")
        assert here(pilot).startswith(f"{folder.parent.name}/")

    assert walk(Browse(folder), act) == NOTHING


def test_the_root_is_the_end_of_going_up():
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "left", "left")
        assert text(pilot).splitlines()[1] == " /"
        await press(pilot, "t")

    assert walk(Browse(Path("/")), act) == Path("/")


def test_files_are_taken_only_where_they_are_asked_for(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        assert here(pilot).startswith("notes.txt")
        await press(pilot, "enter")
        assert said(pilot) == ("!", "Only folders and .safetensors files can be taken here.")
        await press(pilot, "up")
        assert said(pilot) == ("ok", "Enter takes this file.")
        await press(pilot, "enter")

    assert walk(Browse(folder, suffixes=(".safetensors",)), act) == folder / "model.safetensors"


def test_folders_are_not_taken_where_only_files_are_asked_for(folder):
    async def act(pilot: Pilot[None]) -> None:
        assert "Take this folder" not in text(pilot)
        await press(pilot, "t")
        assert said(pilot) == ("!", "Only .safetensors files can be taken here.")
        await press(pilot, "9", "t")
        assert said(pilot)[0] == "!"

    assert walk(Browse(folder, folders=False, suffixes=[".safetensors"]), act) == NOTHING


def test_leaving_takes_nothing(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "escape")

    assert walk(Browse(folder), act) is None


def test_letters_are_commands_and_search_for_nothing(folder):
    async def act(pilot: Pilot[None]) -> None:
        before = text(pilot)
        await press(pilot, "p", "n", "e", "x")
        assert text(pilot) == before
        await press(pilot, "full_stop")
        assert ".hidden/" in text(pilot)
        await press(pilot, "full_stop")
        assert ".hidden/" not in text(pilot)
        (folder / "new one").mkdir()
        await press(pilot, "r")
        assert "new one/" in text(pilot)
        await press(pilot, "question_mark")
        assert isinstance(pilot.app.screen, Help)
        assert "Go to a path that you type or paste." in text(pilot)
        keys = pilot.app.screen.query_one("#keys")
        await press(pilot, "end")
        assert keys.scroll_y == keys.max_scroll_y > 0
        await press(pilot, "home", "pagedown")
        assert keys.scroll_y == keys.max_scroll_y
        await press(pilot, "pageup")
        assert keys.scroll_y == 0
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, Browse)

    assert walk(Browse(folder), act) == NOTHING


def test_home_is_one_key_away(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "pictures"))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "h", "t")

    assert walk(Browse(Path("/")), act) == folder / "pictures"


def test_begins_at_a_file_or_at_the_nearest_folder_that_is_there(folder):
    async def at_file(pilot: Pilot[None]) -> None:
        assert here(pilot).startswith("model.safetensors")
        await press(pilot, "enter")

    async def nearest(pilot: Pilot[None]) -> None:
        assert text(pilot).splitlines()[1].endswith("/pictures")
        assert said(pilot) == ("!", f"{folder}/pictures/gone/deeper is not there (any more).")

    file = folder / "model.safetensors"
    assert walk(Browse(file, suffixes=(".safetensors",)), at_file) == file
    assert walk(Browse(folder / "pictures" / "gone" / "deeper"), nearest) == NOTHING


# ------------------------------------------------------------------------------------------------------- typing a path
def test_slash_goes_to_a_path_that_is_typed(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "slash", *"pic", "tab")
        await asyncio.sleep(0.05)
        await press(pilot)
        assert pilot.app.screen.query_one(PathInput).value == f"{folder}/pictures/"
        await press(pilot, "enter")
        assert text(pilot).splitlines()[1].endswith("/pictures")
        assert here(pilot) == "Take this folder"
        await press(pilot, "enter")

    assert walk(Browse(folder), act) == folder / "pictures"


def test_typing_shows_what_fits_and_escape_only_ends_the_typing(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "slash", "p", "tab")
        await asyncio.sleep(0.05)
        await press(pilot)
        assert "2 names fit." in said(pilot)[1]
        await press(pilot, "escape")
        assert "names fit" not in text(pilot)
        await press(pilot, "down")
        assert here(pilot).startswith("empty/")

    assert walk(Browse(folder), act) == NOTHING


def test_dropped_file_leads_to_its_folder(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "slash")
        pilot.app.screen.query_one(PathInput).post_message(events.Paste(f"'{folder}/pictures/25_zibo man/007.png'\n"))
        await press(pilot, "enter")
        assert here(pilot).startswith("007.png")

    assert walk(Browse(Path("/")), act) == NOTHING


def test_typed_path_that_is_not_there_is_said_and_can_be_mended(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "slash", "x", "enter")
        assert said(pilot) == ("x", f"{folder}/x is not there (any more).")
        await press(pilot, "backspace", *"empty", "enter", "enter")

    assert walk(Browse(folder), act) == folder / "empty"


def test_relative_paths_begin_in_the_folder_that_is_shown(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "slash")
        pilot.app.screen.query_one(PathInput).value = "pictures/../empty"
        await press(pilot, "enter", "enter")

    assert walk(Browse(folder), act) == folder / "empty"


# --------------------------------------------------------------------------------------------------------------- disks
def test_ten_thousand_pictures_open_without_a_pause(tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number:05}.png").touch()
    (tmp_path / "a folder").mkdir()
    began = time.perf_counter()
    found = read(tmp_path)
    assert time.perf_counter() - began < 0.5  # 30 ms on a quiet machine
    assert (len(found.entries), found.folders, found.pictures, found.more) == (MOST_ENTRIES, 1, 10_000, 5_001)
    times = []

    async def act(pilot: Pilot[None]) -> None:
        assert "1 folder, 10,000 pictures" in text(pilot)
        await press(pilot, "9")
        assert here(pilot).startswith("5,001 more are not shown; / goes there by path")
        await press(pilot, "enter", "0")
        for _ in range(5):
            began = time.perf_counter()
            await pilot.press("pagedown")
            times.append(time.perf_counter() - began)

    assert walk(Browse(tmp_path), act) == NOTHING
    assert min(times) < 0.2


def test_slow_disk_is_waited_for_in_words_and_keys_stay_alive(folder, monkeypatch):
    answer = threading.Event()

    def slow(path: Path, hidden: bool = False) -> Contents:
        if path.name == "pictures":
            answer.wait(20)
        return read(path, hidden)

    async def act(pilot: Pilot[None]) -> None:
        monkeypatch.setattr(browse, "read", slow)
        await press(pilot, "down", "down")
        await pilot.press("right")
        await asyncio.sleep(browse.SLOW_SECONDS + 0.2)
        await pilot.pause()
        assert said(pilot) == ("ok", "Reading the folder…")
        await pilot.press("enter", "t")  # nothing is taken that has not been seen
        await press(pilot, "left")
        answer.set()
        await asyncio.sleep(0.1)
        await settle(pilot)
        assert text(pilot).splitlines()[1].endswith("/data")

    assert walk(Browse(folder), act) == NOTHING


def test_folder_that_vanishes_is_one_sentence(folder):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "down", "down")
        shutil.rmtree(folder / "pictures")
        await press(pilot, "t")
        assert said(pilot) == ("x", f"{folder}/pictures is not there (any more).")
        await press(pilot, "right")
        assert said(pilot) == ("x", f"{folder}/pictures is not there (any more). ← goes up.")
        await press(pilot, "enter", "t", "down")
        assert said(pilot)[0] != "ok"
        await press(pilot, "left")
        assert "pictures/" not in text(pilot)

    assert walk(Browse(folder), act, (120, 40)) == NOTHING


def test_folder_that_may_not_be_read_is_one_sentence(folder, monkeypatch):
    scandir = os.scandir

    def refused(path: os.PathLike[str] | str) -> object:
        if os.fspath(path).endswith("/empty"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(folder_contents.os, "scandir", refused)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "down")
        assert here(pilot).endswith("may not be read")
        await press(pilot, "t")
        assert said(pilot) == ("x", f"{folder}/empty may not be read by you.")
        await press(pilot, "enter")
        assert said(pilot) == ("x", f"{folder}/empty may not be read by you. ← goes up.")
        await press(pilot, "t")

    assert walk(Browse(folder), act) == NOTHING


def test_hostile_names_are_shown_inert_and_can_be_taken(tmp_path):
    name = b"[red]\x1b[2J\n\xff\xe2\x80\xae"
    os.mkdir(os.fsencode(tmp_path) + b"/" + name)
    (tmp_path / ("wide 日本語 " * 9)).mkdir()
    (tmp_path / "leads nowhere").symlink_to("/nowhere/at/all")

    async def act(pilot: Pilot[None]) -> None:
        shown = text(pilot)
        assert "[red]\\x1b[2J\\n\\udcff\\u202e/" in shown
        assert "wide 日本語" in shown
        assert any(row.startswith("   leads nowhere") and row.endswith("leads nowhere") for row in shown.splitlines())
        await press(pilot, "down", "right")
        assert "\\x1b[2J" in text(pilot).splitlines()[1]
        await press(pilot, "slash")
        assert pilot.app.screen.query_one(PathInput).value == ""
        await press(pilot, "escape", "enter")

    assert walk(Browse(tmp_path), act) == tmp_path / os.fsdecode(name)


@pytest.mark.parametrize("home", [False, True])
def test_a_whole_path_takes_the_place_of_the_folder_that_stands_there(folder, tmp_path, monkeypatch, home):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    typed = "~/other" if home else str(other)

    async def act(pilot: Pilot[None]) -> None:
        names = {"/": "slash", "~": "tilde", "-": "minus", "_": "underscore", ".": "full_stop"}
        await press(pilot, "slash", *(names.get(letter, letter) for letter in typed), "enter")
        assert text(pilot).splitlines()[1].endswith("/other")

    walk(Browse(folder / "pictures"), act)


def test_a_path_that_is_pasted_as_if_it_was_typed_comes_whole(folder, tmp_path):
    """As some terminals paste: all letters are there before the app has looked at the first."""

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "slash")
        typed = pilot.app.screen.query_one(PathInput)
        for letter in f"{tmp_path}/pictures":
            typed.insert_text_at_cursor(letter)
        await pilot.pause()
        assert typed.value == f"{tmp_path}/pictures"
        assert typed.cursor_position == len(typed.value)

    walk(Browse(folder), act)


def test_numbers_in_names_count_by_their_value(tmp_path):
    for name in ("25_zibo", "100_zibo", "3_Zibo", "zibo", "0003_x"):
        (tmp_path / name).mkdir()
    assert [entry.name for entry in read(tmp_path).entries] == ["0003_x", "3_Zibo", "25_zibo", "100_zibo", "zibo"]


def test_deep_folders_show_the_end_of_their_path(tmp_path):
    deep = tmp_path / "/".join(["a long name of a folder"] * 30) / "the last one"
    deep.mkdir(parents=True)

    async def act(pilot: Pilot[None]) -> None:
        row = text(pilot).splitlines()[1]
        assert row.startswith(" …")
        assert row.endswith("/the last one")

    assert walk(Browse(deep), act, (60, 20)) == NOTHING


def test_mouse_chooses_opens_and_scrolls(folder):
    async def act(pilot: Pilot[None]) -> None:
        listing = pilot.app.screen.query_one(Listing)
        await pilot.click(listing, offset=(8, 2))
        await settle(pilot)
        assert here(pilot).startswith("pictures/")
        await pilot.click(listing, offset=(8, 2), times=2)
        await settle(pilot)
        assert text(pilot).splitlines()[1].endswith("/pictures")

    assert walk(Browse(folder), act) == NOTHING
