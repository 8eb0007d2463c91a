"""What the editor of captions looks like, letter by letter, at three sizes, and what its keys cost on the wire."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual._compositor import Compositor, CompositorUpdate
from textual.pilot import Pilot

from benchmarks.small_run import make_project
from lora_tui.look import Look
from lora_tui.only_changes import Shown
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, settle
from tests.screens.wizard.test_captions import open_captions

SNAPSHOTS = Path(__file__).parents[1] / "snapshots" / "captions"
PLACE = Path("/tmp/lora-tui-caption-looks")  # always the same: paths are wrapped and cut
MOST_BYTES = 2048
KEYS = (
    "enter", "x", "tab", "a", "z", "enter", "tab", "s", "c", "o", "a", "t", "enter", "left", "backspace", "up", "down",
    "escape", "down", "up", "m", "space", "v", "v", "u", "y",
)  # fmt: skip
LONG = (
    "ohwx, a man with short dark hair in a long red coat and worn brown boots, standing on a wooden stage in front of "
    "a dark curtain with a row of small lamps above him, one hand in his pocket, the other at a microphone, looking to "
    "the left side of the picture, with a guitar behind him and a glass of water on a high stool, seen from the front "
    "row"
)


@pytest.fixture
def project() -> Iterator[Path]:
    """Captions with something to mend in them."""
    shutil.rmtree(PLACE, ignore_errors=True)
    project = make_project(PLACE / "ohwx")
    pictures = project / "img" / "2_ohwx man"
    (pictures / "01.txt").write_text(LONG)
    (pictures / "02.txt").write_text("a man in a suit and a man in a suit\n")
    (pictures / "03.txt").unlink()
    (pictures / "05.txt").write_text((pictures / "04.txt").read_text())
    yield project
    shutil.rmtree(PLACE)


STATES: dict[str, list[str]] = {
    "list": ["down"],
    "editor": ["down", "enter", *" pho"],
    "picking": ["down", "tab"],
    "chips": ["t", "left", "space"],
    "tags": ["l"],
    "operations": ["o"],
    "replacing": ["r", *"man", "enter", *"boy"],
}


@pytest.mark.parametrize("letters", ["utf8", "ascii"])
@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_the_editor_looks_as_it_did(project: Path, size: str, letters: str) -> None:
    """`UPDATE_SNAPSHOTS=1 pytest tests/screens` writes them anew; look at the difference before you keep it."""
    shown: dict[str, str] = {}

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        for name, keys in STATES.items():
            await press(pilot, "home", *(_KEYS.get(key, key) for key in keys))
            shown[name] = text(pilot) + "\n"
            for _ in range(3):
                if pilot.app.focused is not None:
                    await press(pilot, "escape")

    drive(project, act, size, Look(ascii_only=letters == "ascii", images=False))
    for name, screen in shown.items():
        path = SNAPSHOTS / f"{name}-{size}-{letters}.txt"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(screen, encoding="utf-8")
        assert screen == path.read_text(encoding="utf-8"), name


_KEYS = {" ": "space"}


LISTS = (
    "f", "r", "e", "escape", "a", "a", "o", "down", "escape", "l", "down", "f", "m", "escape", "escape",
    "r", "m", "a", "n", "enter", "b", "o", "y", "enter", "down", "escape",
    "t", "left", "space", "left", "space", "escape",
)  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "size"),
    [(KEYS, "small"), (KEYS, "wide"), (KEYS, "huge"), (LISTS, "small"), (LISTS, "wide")],
    ids=lambda value: value if isinstance(value, str) else "reading" if value is KEYS else "lists",
)
def test_each_key_sends_little(
    project: Path, size: str, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading, correcting and all the lists, with captions as models write them, where no picture has to be sent."""
    (project / "img" / "2_ohwx man" / "01.txt").write_text(LONG[:150])
    costs = bytes_sent(project, size, keys, monkeypatch)
    assert {key: cost for key, cost in costs.items() if cost > MOST_BYTES} == {}


def test_a_full_list_of_changes_sends_little(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each line of the screen, and from them back to the captions."""
    folder = project / "img" / "2_ohwx man"
    for number in range(20):
        shutil.copy(folder / "00.png", folder / f"more_{number}.png")
        words = f"ohwx, a man in a park, dark jacket number {number}, a red hat, green scarf, old jeans, long boots"
        (folder / f"more_{number}.txt").write_text(words)
    keys = ("r", "r", "e", "d", "enter", "w", "escape", "r", "r", "e", "d", "enter", "o", "enter", "space", "escape")
    costs = bytes_sent(project, "small", keys, monkeypatch)
    assert {key: cost for key, cost in costs.items() if cost > MOST_BYTES} == {}


def bytes_sent(project: Path, size: str, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What each key costs, by its place and name."""
    sent: list[int] = []
    costs: dict[str, int] = {}
    shown, console = Shown(erases=True), Console(color_system="truecolor", force_terminal=True)
    render_update = Compositor.render_update

    def counting(compositor: Compositor, *args: Any, **more: Any) -> Any:
        update = render_update(compositor, *args, **more)
        if isinstance(update, CompositorUpdate):
            sent.append(len(shown.changes(update).render_segments(console).encode()))
        return update

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        monkeypatch.setattr(Compositor, "render_update", counting)
        pilot.app.screen.refresh()
        await settle(pilot)
        for place, key in enumerate(keys):
            sent.clear()
            await press(pilot, key)
            await settle(pilot)
            costs[f"{place} {key}"] = sum(sent)

    drive(project, act, size, Look(images=False))
    return costs
