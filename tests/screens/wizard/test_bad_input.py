"""What is broken, gone, or meant to do harm: one clear message, nothing lost, and nothing on the screen obeyed."""

from __future__ import annotations

import re
import shutil
from itertools import cycle, islice
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.project import Project
from lora_tui.look import Look
from lora_tui.widgets.form import Form
from lora_tui.widgets.status import Status
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, said

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def test_a_project_file_broken_by_hand_while_the_app_is_open(folder: Path) -> None:
    path = folder / "project.toml"
    good = path.read_text()

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        path.write_text("[settings\n")
        await press(pilot, "down", "down", "right")
        mark, sentence = said(pilot)
        assert (mark, "is not valid TOML" in sentence) == ("x", True)
        assert path.read_text() == "[settings\n"
        path.write_text(good)
        await until(pilot, lambda: said(pilot)[0] != "x")

    drive(folder, act)
    assert Project.open(folder).settings["train_batch_size"] == 3


def test_a_project_that_vanishes_meanwhile(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2")
        shutil.rmtree(folder)
        await until(pilot, lambda: said(pilot)[0] == "x")
        for number in range(1, 10):
            await press(pilot, str(number))
        assert said(pilot)[0] == "x"

    assert not drive(folder, act).crashed


@pytest.mark.parametrize("size", ["small", "wide"])
def test_ascii_mode_writes_nothing_but_ascii(folder: Path, size: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        for number in range(1, 10):
            await press(pilot, str(number))
            assert text(pilot).isascii(), number

    drive(folder, act, size, Look(ascii_only=True, images=False))


def test_nothing_in_a_project_is_obeyed_by_the_terminal(folder: Path) -> None:
    hostile = "\x1b[2J\x1b]0;x\x07[bold red]y[/]"
    path = folder / "img" / "2_ohwx man" / "00.png"
    path.rename(path.with_name(f"{hostile.replace('/', '')}.png"))
    (folder / "img" / "2_ohwx man" / "01.txt").write_text(f"ohwx {hostile}\n")

    async def act(pilot: Pilot[None]) -> None:
        for number in range(1, 10):
            await press(pilot, str(number))
            assert "\x1b" not in text(pilot)
        await press(pilot, "2")
        assert "[bold red]" in text(pilot)

    assert not drive(folder, act).crashed


NONSENSE = (
    "", "   ", "x" * 20_000, "\x1b[2J\x1b]0;x\x07", "[red]a[/] [@click=app.quit]", "漢字💥é", "-1", "1e999", "nan",
    "0x10", "../../../etc/passwd", "/", "~nobody/x", "a\0b", "\udcff", "'unclosed", "[1, 2", "true",
)  # fmt: skip


@pytest.mark.parametrize("step", ["1", "5", "6", "9"])
@pytest.mark.parametrize("each", [1, pytest.param(len(NONSENSE), marks=pytest.mark.proof)])
def test_no_text_in_any_row_breaks_anything(folder: Path, step: str, each: int) -> None:
    """Whatever is typed is taken, or refused in words; the project stays one that can be opened.

    `each`: how many of the texts a row gets, the next row those that follow; all of them take minutes.
    """
    texts = cycle(NONSENSE)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, step)
        parts = 3 if step == "6" else 1
        for _ in range(parts):
            form = pilot.app.screen.query_one(Form)
            for key in [row.key for row in form.rows if row.kind in ("text", "number", "path")]:
                for words in islice(texts, each):
                    form.edit(key, "")
                    form._take(words)
                    await pilot.pause()
                    assert not CONTROL.findall(text(pilot)), (key, words)
                    Project.open(folder)
            await press(pilot, "tab")
        assert pilot.app.screen.query_one(Status).said[1]

    assert not drive(folder, act).crashed
    assert Project.open(folder).resolved() is not None
