"""Lines of text that are cut where they do not fit."""

from __future__ import annotations

import asyncio

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
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


def screen(app: App[None]) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


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


@pytest.mark.parametrize("sign", ["…", "..."])
def test_lines_that_find_no_room_leave_a_sign(sign: str) -> None:
    class Low(App[None]):
        ascii_only = sign.isascii()
        CSS = "#lines { height: 1fr; width: 1fr; } #below { height: auto; width: 1fr; }"

        def compose(self) -> ComposeResult:
            yield Lines(id="lines")
            yield Lines(id="below")

    async def act() -> None:
        app = Low()
        async with app.run_test(size=(20, 3)) as pilot:
            lines, below = app.query_one("#lines", Lines), app.query_one("#below", Lines)
            for texts, last in (
                ("abc", "c"),
                ("abcd", f"c {sign}"),
                ("abc ", "c"),
                ("abcd", f"c {sign}"),
                (["a", "b", "c" * 20, "d"], "c" * (20 - len(sign)) + sign),
            ):
                lines.show([Text(text) for text in texts])
                await pilot.pause()
                assert screen(app)[2] == last
            cut = "c" * (20 - len(sign)) + sign
            for taken, shown in ((1, ["a", f"b {sign}", ""]), (0, ["a", "b", cut]), (2, [f"a {sign}", "", ""])):
                below.show([Text()] * taken)
                await pilot.pause()
                assert screen(app) == shown

    asyncio.run(act())


def test_lines_that_are_added_while_others_are_being_laid_out_find_their_room() -> None:
    """A screen that comes up lays out what it has at once; what a thread has found out by then must not be cut off."""

    class Long(App[None]):
        CSS = "Lines { height: auto; width: 1fr; }"

        def compose(self) -> ComposeResult:
            with VerticalScroll():
                yield Lines()

    async def act() -> None:
        app = Long()
        async with app.run_test(size=(20, 3)) as pilot:
            lines = app.query_one(Lines)
            for few, many in ((4, 5), (6, 8)):
                lines.show([Text("a")] * few)
                app.query_one(VerticalScroll)._clear_arrangement_cache()
                app.screen._refresh_layout()  # before the widget is idle and asks for it itself
                lines.show([Text("a")] * many)
                await pilot.pause()
                assert lines.size.height == many

    asyncio.run(act())
