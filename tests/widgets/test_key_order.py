"""Keys that come while one before them is having its effects, however long that takes, wait for it."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from lora_tui.key_order import KeysInOrder
from tests.screens.app_test import until

BUSY_SECONDS = 0.7  # as on a processor that a training has for itself


class Opens(KeysInOrder):
    """`e` opens the editor, by messages that go up and down, as those of forms do."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("e", "open"), Binding("x", "lose")]
    lost = 0

    def compose(self) -> ComposeResult:
        yield Input()

    def action_open(self) -> None:
        time.sleep(BUSY_SECONDS)
        editor, below = self.query_one(Input), self.screen
        below.call_later(self.call_later, below.call_later, editor.focus)

    def action_lose(self) -> None:
        self.lost += 1


def test_a_letter_that_comes_late_is_still_for_the_editor_that_is_being_opened() -> None:
    async def act() -> None:
        app = Opens()
        async with app.run_test() as pilot:
            app.post_message(events.Key("e", "e"))
            asyncio.get_running_loop().call_later(0.1, app.post_message, events.Key("x", "x"))
            await until(pilot, lambda: bool(app.query_one(Input).value or app.lost))
            assert (app.query_one(Input).value, app.lost) == ("x", 0)

    asyncio.run(act())
