"""The whole app on a project, without a terminal: keys are pressed, and what is on the screen is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.screen import Screen

from lora_tui.app import LoraTui
from lora_tui.look import Look
from lora_tui.screens.home import Home
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.widgets.status import Status
from tests.screens.app_test import SIZES, answers, text, until

LOOK_SECONDS = 5.0
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
    """Until the project has been looked at, where that comes soon, and what came of it is painted."""
    end = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < end:
        await pilot.pause()
        pages = pilot.app.pages  # type: ignore[attr-defined]
        if pages is None or (pages.wizard.survey and not pages.wizard.looking and not pages.wizard.examining):
            break
        await asyncio.sleep(0.01)
    await answers(pilot)


async def until_shown(pilot: Pilot[None], words: str) -> None:
    """Until these words stand on the screen, however they are wrapped."""
    await until(pilot, lambda: words in " ".join(text(pilot).split()))


async def until_said(pilot: Pilot[None], words: str, page: type[Screen[None]] = WizardPage) -> None:
    """Until the line at the bottom of such a page says these words."""
    await until(pilot, lambda: isinstance(pilot.app.screen, page) and words in said(pilot)[1])


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
