"""Lines of text that are cut where they do not fit."""

from __future__ import annotations

import asyncio

from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Size

from lora_tui.widgets.lines import Lines


class Sized(Lines):
    cells = 20

    @property
    def size(self) -> Size:
        return Size(self.cells, 1)


class Shown(App[None]):
    def compose(self) -> ComposeResult:
        yield Sized()


def test_a_scrollbar_that_comes_takes_nothing_of_a_line() -> None:
    """Lines may be painted at their new width before the event that tells of it."""

    async def act() -> None:
        app = Shown()
        async with app.run_test() as pilot:
            lines = app.query_one(Sized)
            lines.show([Text("x" * 20)])
            await pilot.pause()
            assert lines.render_line(0).text == "x" * 20
            lines.cells = 18
            assert lines.render_line(0).text == "x" * 17 + "…"

    asyncio.run(act())
