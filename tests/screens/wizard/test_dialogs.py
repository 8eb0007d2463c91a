"""Dialogs are set off from what lies behind them, also where there are no colours."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from benchmarks.recorded import hold
from engine.runs.folder import RunFolder
from lora_tui.look import Look
from tests.screens import app_test
from tests.screens.app_test import dashboard, text
from tests.screens.wizard import driving

Seen = tuple[list[str], tuple[int, int]]  # the rows of the dialog, and the room for what it says


async def look_at(pilot: Pilot[None], found: list[Seen]) -> None:
    dialog = pilot.app.screen.query_one("#dialog")
    x, y, width, height = dialog.region
    rows = [row.ljust(x + width)[x : x + width] for row in text(pilot).splitlines()[y : y + height]]
    found.append((rows, dialog.content_size))


def dialog_of(run: RunFolder, project: Path, name: str, look: Look, size: str) -> Seen:
    found: list[Seen] = []

    async def question(pilot: Pilot[None]) -> None:
        await app_test.press(pilot, {"choices": "s", "a line": "i"}[name])
        await look_at(pilot, found)

    async def take(pilot: Pilot[None]) -> None:
        await driving.press(pilot, "2", "a")
        await look_at(pilot, found)

    if name == "a folder":
        driving.drive(project, take, size, look)
    else:
        with hold(run):
            app_test.drive(lambda: dashboard(run), question, size, look)
    return found[0]


def frame_of(rows: list[str]) -> str:
    """The letters that a dialog is framed with: a corner, along the top, a corner, the sides, the corners below."""
    sides = {row[0] + row[-1] for row in rows[1:-1]}
    return rows[0][0] + rows[0][1] + rows[0][-1] + "".join(sides) + rows[-1][0] + rows[-1][-1]


@pytest.mark.parametrize("name", ["choices", "a line", "a folder"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_without_colours_a_dialog_has_a_frame(running: RunFolder, folder: Path, name: str, size: str) -> None:
    coloured, room = dialog_of(running, folder, name, Look(images=False, paints_per_second=50), size)
    assert not frame_of(coloured).strip()
    for ascii_only, frame in {False: "┌─┐││└┘", True: "+-+||++"}.items():
        look = Look(theme="none", images=False, ascii_only=ascii_only, paints_per_second=50)
        shown, left = dialog_of(running, folder, name, look, size)
        assert frame_of(shown) == frame
        assert left == room  # the frame takes nothing away from the words
        assert not ascii_only or "".join(shown).isascii()
