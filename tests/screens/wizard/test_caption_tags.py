"""Tags where something else than a comma stands between them, as caption_separator says."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.project import Project
from lora_tui.screens.caption_changes import ChangesPane
from lora_tui.screens.caption_tags import TagsPane
from lora_tui.screens.captions import CaptionsPage
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, type_in

LONG = "ohwx | red hat, with feather | coat 1 | a long beard"


@pytest.fixture
def barred(folder: Path) -> Path:
    """The project with bars between tags."""
    project = Project.open(folder)
    project.settings["caption_separator"] = "|"
    project.save()
    for number in range(6):
        caption(folder, number).write_text(f"ohwx | hat {number}\n")
    caption(folder, 0).write_text(f"{LONG}\n")
    return folder


def caption(folder: Path, number: int) -> Path:
    return folder / "img" / "2_ohwx man" / f"{number:02}.txt"


def page(pilot: Pilot[None]) -> CaptionsPage:
    screen = pilot.app.screen
    assert isinstance(screen, CaptionsPage)
    return screen


async def open_captions(pilot: Pilot[None]) -> None:
    await press(pilot, "4")
    await until(
        pilot,
        lambda: (
            "6 captions" in text(pilot) and page(pilot).desk.learnt is not None and page(pilot).desk.separator == "|"
        ),
    )


def test_chips_are_cut_and_joined_by_the_separator(barred: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "t")
        assert page(pilot).chips.row.tags == LONG.split(" | ")
        await press(pilot, "enter", *"red")
        await press(pilot, "tab", "space", "vertical_line", *"hat", "tab", "enter", "escape", "escape")

    drive(barred, act)
    assert caption(barred, 0).read_text() == f"{LONG} | red | hat 1\n"


def test_the_list_of_all_tags_and_what_is_done_to_one_obey_it(barred: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "l")
        pane = page(pilot).query_one(TagsPane)
        assert ("red hat, with feather", 1) in pane.tags
        assert pane.tags[0] == ("ohwx", 6)
        pane.choose(next(place for place, (tag, _) in enumerate(pane.tags) if tag == "coat 1"))
        await press(pilot, "e")
        await type_in(pilot, "shoes")
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: "shoes" in caption(barred, 0).read_text())
        pane.choose(next(place for place, (tag, _) in enumerate(pane.tags) if tag == "a long beard"))
        await press(pilot, "x", "enter")
        await until(pilot, lambda: "beard" not in caption(barred, 0).read_text())

    drive(barred, act)
    assert caption(barred, 0).read_text() == "ohwx | red hat, with feather | shoes\n"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("sort", "ohwx | b, c | a, z", "ohwx | a, z | b, c"),
        ("repeated", "ohwx | b, c | a | b, c", "ohwx | b, c | a"),
        ("trim", "ohwx || b, c |", "ohwx| b, c"),
    ],
)
def test_what_is_done_to_many_obeys_it(barred: Path, name: str, before: str, after: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        page(pilot).preview(name, page(pilot)._plain_operation(name))
        pane = page(pilot).pane
        assert isinstance(pane, ChangesPane)
        assert [(change.before, change.after) for change in pane.changes] == [(before, after)]

    caption(barred, 0).write_text(f"{before}\n")
    drive(barred, act)


def test_the_rest_of_a_tag_is_offered_between_separators(barred: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "down", "enter", "space", "vertical_line", "space", *"red")
        await press(pilot, "tab")
        assert page(pilot).editor.value == "ohwx | hat 1 | red hat, with feather"
        await press(pilot, "escape")

    drive(barred, act)


def test_an_empty_caption_begins_with_the_trigger_and_the_separator(barred: Path) -> None:
    caption(barred, 0).unlink()

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "home", "enter")
        assert page(pilot).editor.value == "ohwx | "
        await press(pilot, "escape")

    drive(barred, act)
    assert not caption(barred, 0).exists()
