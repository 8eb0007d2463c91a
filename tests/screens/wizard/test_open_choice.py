"""Options whose rows are edited in a way of their own: the optimizer, with known choices or a text, and paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.optimizers import ADAFACTOR_ARGS, KNOWN
from engine.plan.options import by_name
from engine.plan.project import Project
from lora_tui.option_texts import listed
from lora_tui.widgets.form import Form
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, settle, type_in


def test_the_optimizer_is_stepped_through_and_typed(folder: Path) -> None:
    def now() -> str:
        return Project.open(folder).resolved().optimizer_type

    async def act(pilot: Pilot[None]) -> None:
        place = [option.name for option in listed("basic")].index("optimizer_type") + 1  # below the preset
        await press(pilot, "6", *["down"] * place)
        assert pilot.app.screen.query_one(Form).here == "optimizer_type"
        first = now()
        seen = []
        for _ in KNOWN:
            await press(pilot, "right")
            seen.append(now())
        assert seen[-1] == first
        assert set(seen) == set(KNOWN)

        await press(pilot, "enter")
        await type_in(pilot, "adafactor")  # in place of what stood there
        assert "takes it" in said(pilot)[1]
        await press(pilot, "enter")
        assert (now(), Project.open(folder).resolved().optimizer_args) == ("Adafactor", ADAFACTOR_ARGS)

        await press(pilot, "up", "enter")
        await type_in(pilot, "torch.optim.RAdam")
        await press(pilot, "enter", "up")
        assert now() == "torch.optim.RAdam"
        assert "torch.optim.RAdam" in text(pilot)
        await press(pilot, "right")
        assert now() == next(iter(KNOWN))

        await press(pilot, "enter")
        await type_in(pilot, "Adam W")
        assert "a class as module.Class" in " ".join(said(pilot)[1].split())
        await press(pilot, "enter")
        assert now() == next(iter(KNOWN))  # what was typed is kept in its row, and not used

    drive(folder, act)


@pytest.mark.parametrize("name", ["vae", "network_weights"])
def test_a_path_is_completed_from_the_project(folder: Path, name: str) -> None:
    (folder / "repaired.safetensors").write_bytes(b"")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "6")
        pilot.app.screen.show_option(by_name()[name])  # type: ignore[attr-defined]
        await settle(pilot)
        await press(pilot, "enter")
        await type_in(pilot, "repa")
        await press(pilot, "tab", "enter")
        assert getattr(Project.open(folder).resolved(), name) == "repaired.safetensors"

    drive(folder, act)
