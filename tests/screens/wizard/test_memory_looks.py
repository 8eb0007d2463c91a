"""What is seen of memory, hardware, presets and kohya's files, letter by letter, at three sizes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from benchmarks.small_run import make_project
from engine.plan import found_models
from engine.plan.gpus import Found, Gpu
from engine.plan.project import Project
from lora_tui import estimating, expected_time, hardware
from lora_tui.look import Look
from tests.cli.conftest import safetensors
from tests.cli.test_hardware import FULL_SIZE
from tests.plan.kohya.asked import AI_NOW
from tests.screens.app_test import text, until
from tests.screens.wizard.driving import drive, press, settle
from tests.screens.wizard.test_import import choose
from tests.screens.wizard.test_looks import compare

PLACE = Path("/tmp/lora-tui-memory-looks")  # always the same: paths are wrapped and cut
GIB = 2**30
RTX_2060 = Gpu("NVIDIA GeForce RTX 2060", "cuda", 6 * GIB, int(5.4 * GIB), (7, 5), bf16=False)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of full size on a machine whose only GPU has little memory and no bf16."""
    for module in (hardware, estimating, expected_time):
        monkeypatch.setattr(module, "gpus_here", lambda **_: Found("cuda", (RTX_2060,)))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=80 * 10**9))
    for name in ("STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(found_models, "_SHARED", ())
    monkeypatch.setattr(found_models, "_BASES", ())
    shutil.rmtree(PLACE, ignore_errors=True)
    made = make_project(PLACE / "ohwx")
    opened = Project.open(made)
    base = safetensors(PLACE / "sdxl.safetensors", FULL_SIZE)
    opened.settings = {"pretrained_model_name_or_path": str(base), "train_batch_size": 2, "max_train_epochs": 10}
    opened.save()
    shutil.copy(AI_NOW, PLACE / "ai.json")
    yield made
    shutil.rmtree(PLACE)


STATES: dict[str, tuple[str, ...]] = {
    "meter": ("6",),
    "warned": ("6", "slash", *"mixed", "enter"),
    "warnings": ("6", "w"),
    "memory": ("6", "g"),
    "another-gpu": ("6", "g", "p", *"a100", "down"),
    "review-of-full-size": ("7",),
    "presets": ("6", "p", "down"),
    "what-a-preset-changes": ("6", "p", "home", "down", "enter"),
}


@pytest.mark.parametrize("letters", ["utf8", "ascii"])
@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_it_looks_as_it_did(project: Path, size: str, letters: str) -> None:
    """`UPDATE_SNAPSHOTS=1 pytest tests/screens` writes them anew; look at the difference before you keep it."""
    shown: dict[str, str] = {}

    async def act(pilot: Pilot[None]) -> None:
        steps = len(pilot.app.screen_stack)
        for name, keys in STATES.items():
            await press(pilot, *keys)
            if name == "review-of-full-size":  # how long it takes is found out in a thread
                await until(pilot, lambda: "half or twice" in text(pilot))
                await settle(pilot)
            shown[name] = text(pilot)
            while len(pilot.app.screen_stack) > steps:
                await press(pilot, "escape")
        await choose(pilot, "ai.json")
        shown["imported"] = text(pilot)

    drive(project, act, size, Look(ascii_only=letters == "ascii", images=False))
    compare(shown, size, letters)
