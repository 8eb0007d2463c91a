"""What a key may cost where there are many pictures: judged by what is done and sent, not by the clock."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual._compositor import Compositor, CompositorUpdate
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget

from engine.plan.subjects import Subjects
from lora_tui.screens.home import Home
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.survey import Surveyor
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.picture import Picture
from lora_tui.wizard import Wizard
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, said


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many lines of each widget, by its id, were asked for by the terminal."""
    counted: Counter[str] = Counter()

    def count(kind: type[Widget]) -> None:
        render_line = kind.render_line

        def counting(widget: Widget, y: int) -> Strip:
            counted[widget.id or ""] += 1
            return render_line(widget, y)

        monkeypatch.setattr(kind, "render_line", counting)

    count(Lines)
    count(Picture)
    return counted


def chosen(pilot: Pilot[None]) -> str:
    """The row of the list that is chosen."""
    (row,) = [shown for shown in text(pilot).splitlines() if "▸ " in shown and ".png" in shown]
    return row


@pytest.mark.parametrize("step", ["2", "4", "6"])
def test_keys_do_not_judge_the_steps_anew(folder: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each judgement goes through all the captions."""
    judged: Counter[str] = Counter()
    lacks_trigger = Subjects.lacks_trigger

    def counted(subjects: Subjects, picture: Path, text: str) -> bool:
        judged[text] += 1
        return lacks_trigger(subjects, picture, text)

    async def act(pilot: Pilot[None]) -> None:
        monkeypatch.setattr(Subjects, "lacks_trigger", counted)
        await press(pilot, step, *["down", "up"] * 5)
        assert judged == {}
        await press(pilot, "2", "space")
        assert set(judged.values()) == {2}  # by the survey that it brought, and once for the steps

    drive(folder, act)


def test_how_far_a_check_is_changes_one_line_and_asks_for_nothing_else(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2")
        wizard = pilot.app.pages.wizard  # type: ignore[attr-defined]
        monkeypatch.setattr(WizardPage, "show_all", lambda page: pytest.fail("the whole page was worked out anew"))
        wizard._told(200, 10_000)
        await until(pilot, lambda: said(pilot)[1] == "Looking at the pictures: 200 of 10,000…")
        monkeypatch.undo()

    drive(folder, act)


@pytest.mark.parametrize("size", ["small", "wide"])
def test_a_picture_is_shown_as_left_out_before_the_project_is_checked(
    folder: Path,
    size: str,
    monkeypatch: pytest.MonkeyPatch,
    painted: Counter[str],
) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2", "down")
        monkeypatch.setattr(Surveyor, "look", lambda surveyor, project: None)  # a check that takes for ever
        painted.clear()
        await press(pilot, "space")
        assert "left out" in chosen(pilot)
        assert painted["list"] == 1
        assert painted["picture"] == 0
        await press(pilot, "u")
        assert "left out" not in chosen(pilot)

    drive(folder, act, size)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each update of the terminal."""
    counted: list[int] = []
    render_update = Compositor.render_update

    def counting(compositor: Compositor, *args: Any, **more: Any) -> Any:
        update = render_update(compositor, *args, **more)
        if isinstance(update, CompositorUpdate):
            counted.append(len(update.render_segments(Console(color_system="truecolor", force_terminal=True)).encode()))
        return update

    monkeypatch.setattr(Compositor, "render_update", counting)
    return counted


@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_editing_a_caption_paints_neither_the_picture_nor_the_other_rows(
    folder: Path,
    size: str,
    painted: Counter[str],
) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "down")
        for keys, rows in ((["enter"], 0), (["x"], 0), (["escape"], 1)):
            painted.clear()
            await press(pilot, *keys)
            assert painted["picture"] == painted["rail"] == painted["header"] == 0, keys
            assert painted["list"] <= rows, keys
        await press(pilot, "enter", "y")
        painted.clear()
        await press(pilot, "enter")  # saves, and goes to the next
        assert painted["list"] <= 2
        assert painted["rail"] == painted["header"] == 0

    drive(folder, act, size)


@pytest.mark.parametrize(("step", "limit"), [("4", 4_000), ("6", 8_000)])
def test_opening_and_leaving_an_editor_sends_little(folder: Path, step: str, limit: int, sent: list[int]) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, step, "down", "down")
        assert sum(sent) > 2 * limit  # the first time all is sent
        for key in ("enter", "x", "escape"):
            sent.clear()
            await press(pilot, key)
            assert 0 < sum(sent) < limit, key

    drive(folder, act)


def test_a_caption_that_was_only_read_has_nothing_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        monkeypatch.setattr(Wizard, "look_again", lambda wizard: looked.append(1))
        await press(pilot, "enter", "escape")
        assert looked == []
        await press(pilot, "enter", "x", "escape")
        await until(pilot, lambda: looked == [1])  # once nothing more is changed

    drive(folder, act)


def test_pictures_of_the_same_name_have_their_own_captions(folder: Path) -> None:
    (images,) = (folder / "img").iterdir()
    other = images.with_name("1_ohwx other")
    other.mkdir()
    for path in images.iterdir():
        (other / path.name).write_bytes(path.read_bytes())

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter", *"zzz")
        # It is saved while it is typed: it stands in its row and in the editor.
        await until(pilot, lambda: text(pilot).count("zzz") == 2)

    drive(folder, act, "huge")


def test_threads_give_way_soon_and_memory_is_seldom_searched(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        assert sys.getswitchinterval() <= 0.001
        assert gc.get_threshold()[2] >= 100

    drive(folder, act)


def test_the_list_of_projects_below_the_wizard_neither_looks_nor_paints(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Textual would paint over again what lies above it."""

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "2")
        home = next(screen for screen in pilot.app.screen_stack if isinstance(screen, Home))
        with monkeypatch.context() as patch:
            patch.setattr("lora_tui.screens.home.aside", lambda *_: pytest.fail("it looked"))
            patch.setattr(Home, "_paint", lambda home: pytest.fail("it painted"))
            home._look()
            home._found([])  # what was asked for while it was still on top
        await press(pilot, "escape")
        assert "ohwx" in text(pilot)

    drive(folder, act)
