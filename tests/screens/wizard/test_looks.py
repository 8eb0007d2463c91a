"""What each step looks like, letter by letter, at three sizes, with and without UTF-8."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from benchmarks.recorded import record
from benchmarks.small_run import make_project
from engine.plan import found_models
from engine.plan.export import Destination
from lora_tui.look import Look
from lora_tui.steps import STEPS
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press

SNAPSHOTS = Path(__file__).parents[1] / "snapshots" / "wizard"
PLACE = Path("/tmp/lora-tui-looks")  # always the same: paths are wrapped and cut
FREE = re.compile(r"[\d.]+ [GT]B are free")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a run and a LoRA, in the state that people see most."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(found_models, "_SHARED", ())
    monkeypatch.setattr(found_models, "_BASES", ())
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=80 * 10**9))
    place = Destination("ComfyUI", Path("/workspace/ComfyUI/models/loras"))
    monkeypatch.setattr("lora_tui.screens.results.usual_folders", lambda: [place])
    shutil.rmtree(PLACE, ignore_errors=True)
    project = make_project(PLACE / "ohwx")
    run = record(project / "runs" / "2026-11-22_153012", 3000, "finished", samples=False)
    lora = project / "model" / "ohwx.safetensors"
    lora.parent.mkdir()
    lora.write_bytes((run.output_dir / "zibo-portrait.safetensors").read_bytes())
    yield project
    shutil.rmtree(PLACE)


@pytest.mark.parametrize("letters", ["utf8", "ascii"])
@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_each_step_looks_as_it_did(project: Path, size: str, letters: str) -> None:
    """`UPDATE_SNAPSHOTS=1 pytest tests/screens` writes them anew; look at the difference before you keep it."""
    shown: dict[str, str] = {}

    async def act(pilot: Pilot[None]) -> None:
        for number, step in enumerate(STEPS, 1):
            await press(pilot, str(number))
            shown[step.name] = text(pilot)

    drive(project, act, size, Look(ascii_only=letters == "ascii", images=False))
    assert len(shown) == len(STEPS)
    compare(shown, size, letters)


@pytest.mark.parametrize("letters", ["utf8", "ascii"])
@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_the_first_screens_look_as_they_did(project: Path, size: str, letters: str) -> None:
    shown: dict[str, str] = {}

    async def act(pilot: Pilot[None]) -> None:
        shown["home"] = text(pilot)
        await press(pilot, "a")
        shown["new"] = text(pilot)

    drive(None, act, size, Look(ascii_only=letters == "ascii", images=False))
    compare(shown, size, letters)


def compare(shown: dict[str, str], size: str, letters: str) -> None:
    for name, screen in shown.items():
        screen = FREE.sub("N GB are free", screen) + "\n"
        path = SNAPSHOTS / f"{name}-{size}-{letters}.txt"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(screen, encoding="utf-8")
        assert screen == path.read_text(encoding="utf-8"), name
