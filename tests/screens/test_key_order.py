"""Keys that arrive together, in the whole app."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from engine.plan.project import Project
from tests.screens.app_test import text
from tests.screens.test_wizard import drive, folder, own_state, settle  # noqa: F401


def test_keys_that_come_in_one_piece_do_what_they_would_one_by_one(folder: Path) -> None:  # noqa: F811
    """As a slow line hands them over, and people who know the way."""

    async def act(pilot: Pilot[None]) -> None:
        keys = [
            "6",
            "down",
            "down",
            "enter",
            "backspace",
            "7",
            "enter",
            "down",
            "enter",
            "backspace",
            "9",
            "enter",
            "8",
        ]
        for key in keys:
            pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await asyncio.sleep(1.0)
        await settle(pilot)
        assert "8 of 9" in text(pilot)

    drive(folder, act)
    settings = Project.open(folder).settings
    assert (settings["train_batch_size"], settings["max_train_epochs"]) == (7, 9)
