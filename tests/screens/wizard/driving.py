"""The whole app on a project, without a terminal: keys are pressed, and what is on the screen is read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from lora_tui.app import LoraTui
from lora_tui.look import Look
from lora_tui.screens.home import Home
from lora_tui.widgets.status import Status
from tests.screens.app_test import SIZES, answers

Act = Callable[[Pilot[None]], Awaitable[None]]


def drive(project: Path | None, act: Act, size: str = "wide", look: Look | None = None) -> LoraTui:
    """The app on a project (or on the list of projects) with `act` at the keys."""

    async def run() -> LoraTui:
        app = LoraTui(lambda: Home(project), look or Look())
        async with app.run_test(size=SIZES[size]) as pilot:
            await settle(pilot)
            await act(pilot)
        return app

    return asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    """Until the project has been looked at, and what came of it is painted."""
    for _ in range(500):
        await pilot.pause()
        pages = pilot.app.pages  # type: ignore[attr-defined]
        if pages is None or (pages.wizard.survey and not pages.wizard.looking and not pages.wizard.examining):
            break
        await asyncio.sleep(0.01)
    await answers(pilot)


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await settle(pilot)


async def type_in(pilot: Pilot[None], words: str) -> None:
    """Letters as a person types them into the editor that is open, in place of what is there."""
    focused = pilot.app.focused
    assert focused is not None
    focused.value = ""  # type: ignore[attr-defined]
    await press(pilot, *(_KEYS.get(letter, letter) for letter in words))


_KEYS = {" ": "space", ".": "full_stop", ",": "comma", "/": "slash", "-": "minus", "_": "underscore"}


def said(pilot: Pilot[None]) -> tuple[str, str]:
    return pilot.app.screen.query_one(Status).said
