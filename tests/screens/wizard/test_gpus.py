"""The list of GPUs to plan for, behind `!` and `g`: chosen once, it counts in every project and changes none."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from lora_tui import hardware
from lora_tui.screens import machine
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "machine_checks", lambda: iter([]))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".lora-tui" not in path.parts}


def test_a_gpu_is_chosen_by_a_few_letters_and_taken_back(folder: Path) -> None:
    before = contents(folder)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark", "g")
        assert "Which GPU do you plan for?" in text(pilot)
        assert "This machine" in text(pilot)
        await press(pilot, *"3060", "space", *"12")
        assert "RTX 3060 12 GB" in text(pilot)
        assert "RTX 3090" not in text(pilot)
        await press(pilot, "x")  # there is none with an x: not taken
        assert "Narrowed to: 3060 12" in text(pilot)
        await press(pilot, "enter")
        assert hardware.planned() is not None
        assert "planned for" in text(pilot)
        assert "RTX 3060 12 GB: 12.0 GiB, bf16" in text(pilot)
        await press(pilot, "g")
        assert "▸ RTX 3060 12 GB" in text(pilot)
        await press(pilot, "home", "enter")
        assert hardware.planned() is None
        assert "planned for" not in text(pilot)

    drive(folder, act)
    assert contents(folder) == before


def test_another_narrowing_begins_at_its_first_gpu(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark", "g", *["down"] * 4, *"3060")
        assert "▸ RTX 3060 8 GB" in text(pilot)
        await press(pilot, "down", "backspace")
        assert "▸ RTX 3060 8 GB" in text(pilot)

    drive(folder, act)


def test_leaving_changes_nothing(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark", "g", "down", "down", "pagedown", "backspace", "escape")
        assert hardware.planned() is None

    drive(folder, act)


def test_q_leaves_until_letters_are_typed(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark", "g")
        assert "q leave" in text(pilot)
        await press(pilot, "a", "q")
        assert "q leave" not in text(pilot)
        assert not pilot.app._leaving  # type: ignore[attr-defined]
        await press(pilot, "backspace")
        assert "q leave" in text(pilot)
        await pilot.press("q")

    assert drive(folder, act)._leaving


@pytest.mark.parametrize(
    "keys",
    ["6 p", "6 p enter", "6 g", "6 i", "exclamation_mark", "exclamation_mark g"],
)
def test_q_leaves_wherever_the_key_line_says_so(folder: Path, keys: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, *keys.split())
        assert "q leave" in text(pilot)
        await pilot.press("q")

    assert drive(folder, act)._leaving


@pytest.mark.parametrize("content", ["", "{", "[]", '{"gpu": 3}', '{"gpu": "Voodoo"}', '{"gpu": null}', "[" * 100_000])
def test_a_damaged_note_means_this_machine(content: str) -> None:
    path = hardware._path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert hardware.planned() is None
