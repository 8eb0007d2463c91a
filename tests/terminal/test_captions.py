"""Captions in a real terminal, by keys alone: how few they are, and that all of it is there after a restart."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import small_run
from benchmarks.terminal import Terminal

TAB, ENTER, ESC = "\t", "\r", "\x1b"
CAPTIONS = 30
NEW = "cap"
Opened = Callable[..., Terminal]


@pytest.fixture
def thirty(tmp_path: Path) -> Path:
    """Thirty pictures with captions whose last word is to be another one."""
    project = small_run.make_project(tmp_path / "ohwx", 6)
    pictures = next((project / "img").iterdir())
    for number in range(CAPTIONS):
        if not (pictures / f"{number:02}.png").exists():
            shutil.copyfile(pictures / "00.png", pictures / f"{number:02}.png")
        (pictures / f"{number:02}.txt").write_text(f"ohwx, a man number {number} in a red hat\n")
    return project


def captions(project: Path) -> list[str]:
    return [path.read_text().strip() for path in sorted((project / "img").rglob("*.txt"))]


def wait_until(so: Callable[[], bool], terminal: Terminal, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, terminal.text
        time.sleep(0.02)


def test_thirty_captions_one_word_each_in_six_keys_a_caption(thirty: Path, open_terminal: Opened) -> None:
    """Tab, the letter of the word, the new word, Enter; nobody looks at the screen in between, and no key is lost."""
    terminal = open_terminal(thirty, lines=24, columns=80)
    terminal.wait_for("1 of 9")
    terminal.type("4")
    terminal.wait_for("30 captions")
    pressed = 0
    for key in [ENTER, *[key for _ in range(CAPTIONS) for key in (TAB, "a", *NEW, ENTER)]]:
        terminal.type(key)
        pressed += 1
    terminal.wait_for("That was the last one")
    assert captions(thirty) == [f"ohwx, a man number {number} in a red {NEW}" for number in range(CAPTIONS)]
    assert pressed == 1 + CAPTIONS * (3 + len(NEW))
    assert terminal.alternate_screen
    terminal.type("q")
    terminal.wait(20.0)


def test_a_replacement_is_taken_back_by_the_next_start(thirty: Path, open_terminal: Opened) -> None:
    before = captions(thirty)
    terminal = open_terminal(thirty)
    terminal.wait_for("1 of 9")
    terminal.type("4")
    terminal.wait_for("30 captions")
    terminal.type("r")
    terminal.wait_for("Find a text")
    terminal.type("red" + ENTER)
    terminal.wait_for('Replace "red" by')
    terminal.type("blue")
    terminal.wait_for("{+blue+}")
    terminal.type(ENTER)
    terminal.wait_for("30 changes")
    terminal.type(ENTER)
    terminal.wait_for("Done:")
    assert all("blue hat" in words for words in captions(thirty))
    terminal.close()  # the window is gone
    terminal.wait(20.0)
    again = open_terminal(thirty)
    again.wait_for("30 captions")
    again.type("u")
    again.wait_for("Taken back:")
    assert captions(thirty) == before
    again.type("y")
    again.wait_for("Done again:")
    assert all("blue hat" in words for words in captions(thirty))
    again.type("q")
    again.wait(20.0)


def test_a_killed_app_loses_a_second_of_typing_at_most(thirty: Path, open_terminal: Opened) -> None:
    terminal = open_terminal(thirty)
    terminal.wait_for("1 of 9")
    terminal.type("4")
    terminal.wait_for("30 captions")
    terminal.type(ENTER)
    terminal.wait_for("Enter saves")
    terminal.type(" at night")
    wait_until(lambda: captions(thirty)[0].endswith("at night"), terminal)
    terminal.end()
    again = open_terminal(thirty)
    again.wait_for("30 captions")
    again.type("u")
    again.wait_for("Taken back: the caption of 00.png")
    assert captions(thirty)[0] == "ohwx, a man number 0 in a red hat"
    again.type("q")
    again.wait(20.0)
