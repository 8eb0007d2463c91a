"""A list of any length: one row is chosen and in sight, and only what is in sight is drawn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import line


class Shown(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.moved: list[int] = []
        self.opened: list[int] = []
        self.drawn: list[int] = []

    def compose(self) -> ComposeResult:
        yield Listing(id="list")

    @property
    def listing(self) -> Listing:
        return self.query_one(Listing)

    def row(self, index: int) -> Text:
        self.drawn.append(index)
        return line(f"row {index}")

    def on_listing_moved(self, event: Listing.Moved) -> None:
        self.moved.append(event.index)

    def on_listing_opened(self, event: Listing.Opened) -> None:
        self.opened.append(event.index)


Act = Callable[[Shown, Pilot[None]], Awaitable[None]]


def in_app(act: Act, size: tuple[int, int] = (40, 10)) -> Shown:
    app = Shown()

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await act(app, pilot)

    asyncio.run(run())
    return app


def screen(app: Shown) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def numbers(app: Shown) -> list[int]:
    """The rows in sight, from above."""
    return [int(text.split()[-1]) for text in screen(app) if text.strip()]


def chosen(app: Shown) -> list[int]:
    return [int(text.split()[-1]) for text in screen(app) if text.startswith(" ▸")]


def test_of_ten_thousand_rows_only_those_in_sight_are_drawn() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(10_000, app.row)
        await pilot.pause(0)
        assert app.drawn == numbers(app) == list(range(10))
        for index in (9_999, 5_000, 5_001, 0, 20_000, -5):
            app.drawn.clear()
            app.listing.choose(index)
            await pilot.pause(0)
            here = max(0, min(index, 9_999))
            assert len(app.drawn) == 10
            assert app.drawn == numbers(app)
            assert chosen(app) == [here] == [app.listing.here]
        app.drawn.clear()
        await pilot.resize_terminal(40, 15)
        await pilot.pause(0)
        assert len(app.drawn) <= 2 * 15
        assert numbers(app) == list(range(15))

    in_app(act)


def test_nothing_is_drawn_while_nothing_happens() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(10_000, app.row)
        await pilot.pause(0)
        app.drawn.clear()
        for _ in range(5):
            await pilot.pause(0)
        assert app.drawn == []

    in_app(act)


def test_only_lines_that_change_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(10_000, app.row)
        app.listing.choose(4)
        await pilot.pause(0)
        painted: list[int] = []
        monkeypatch.setattr(app.listing, "refresh", lambda *regions, **_: painted.extend(r.y for r in regions))
        app.listing.show_rows(10_000, app.row)
        assert painted == []
        app.listing.move(1)
        assert painted == [4, 5]

    in_app(act)


def test_a_list_that_comes_into_sight_again_is_painted_once() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(10_000, app.row)
        await pilot.pause(0)
        for size in ((40, 10), (30, 8)):
            app.listing.display = False
            await pilot.pause(0)
            await pilot.resize_terminal(*size)
            app.listing.show_rows(9_000, app.row)
            app.listing.display = True
            seen: list[int] = []
            for _ in range(3):
                seen.append(len(app.listing.plain))
                await pilot.pause(0)
            assert min(seen) >= size[1]
            assert numbers(app) == list(range(size[1]))

    in_app(act)


def test_moving_tells_once_and_stops_at_the_ends() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        listing = app.listing
        listing.show_rows(3, app.row)
        for by in (-1, 1, 1, 1, -50):
            listing.move(by)
        listing.choose(0)
        await pilot.pause(0)
        assert listing.here == 0

    assert in_app(act).moved == [1, 2, 0]


@pytest.mark.parametrize("height", [1, 2, 3, 10])
def test_there_is_a_row_of_margin_where_there_is_room(height: int) -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(100, app.row)
        for by in (1, -1):
            for _ in range(99):
                app.listing.move(by)
                await pilot.pause(0)
                seen, here = numbers(app), app.listing.here
                assert len(seen) == height
                assert here in seen
                if height >= 3 and 0 < here < 99:
                    assert {here - 1, here + 1} <= set(seen)

    in_app(act, (40, height))


def test_scrolling_moves_no_more_than_it_must() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(100, app.row)
        app.listing.choose(50)
        await pilot.pause(0)
        seen = numbers(app)
        app.listing.choose(seen[4])
        await pilot.pause(0)
        assert numbers(app) == seen

    in_app(act)


def test_a_move_that_leaves_the_rows_in_sight_scrolls_by_half_a_page() -> None:
    """So that going through a long list repaints all rows seldom."""

    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(1_000, app.row)
        scrolled, seen = 0, numbers(app)
        for _ in range(100):
            app.listing.move(1)
            await pilot.pause(0)
            scrolled += seen != numbers(app)
            seen = numbers(app)
        assert scrolled <= 25

    in_app(act)


def test_the_place_stays_as_far_as_it_can() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        listing = app.listing
        listing.show_rows(100, app.row)
        listing.choose(60)
        listing.show_rows(80, app.row)
        assert listing.here == 60
        listing.show_rows(30, app.row)
        await pilot.pause(0)
        assert listing.here == 29
        assert numbers(app) == list(range(20, 30))
        for count in (1, 0):
            listing.show_rows(count, app.row)
            await pilot.pause(0)
            assert listing.here == 0
            assert numbers(app) == list(range(count))

    in_app(act)


def test_an_empty_list_does_nothing() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(0, app.row)
        for by in (1, -1, 100):
            app.listing.move(by)
        await pilot.click(Listing, offset=(5, 0))
        await pilot.resize_terminal(40, 3)
        await pilot.pause(0)
        assert "".join(screen(app)).strip() == ""

    app = in_app(act)
    assert (app.moved, app.opened, app.drawn) == ([], [], [])


def test_a_click_chooses_the_row_under_it_and_a_double_click_opens_it() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(100, app.row)
        app.listing.choose(50)
        await pilot.pause(0)
        wanted = numbers(app)[3]
        await pilot.click(Listing, offset=(5, 3))
        assert (app.listing.here, app.opened) == (wanted, [])
        await pilot.click(Listing, offset=(5, screen_row(app, wanted)))
        assert app.opened == []
        await pilot.click(Listing, offset=(5, screen_row(app, wanted)), times=2)
        assert app.opened == [wanted]
        app.listing.show_rows(2, app.row)
        await pilot.click(Listing, offset=(5, 7))  # below the last
        assert app.listing.here == 1

    in_app(act)


def screen_row(app: Shown, index: int) -> int:
    return numbers(app).index(index)


HOSTILE = {
    "markup": "[red]x[/red] [@click=app.quit]y[/] [b",
    "long": "x" * 5000,
    "wide": "写真" * 40,
    "long and wide": "写" * 5000,
    "combining": "e\u0301" * 300,
    "emoji": "👩" * 60,
    "nothing": "",
}


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_hostile_rows_are_cut_to_the_width(words: str) -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(3, lambda index: line(words))
        for width in (200, 40, 39, 7, 4, 3, 2, 1):
            await pilot.resize_terminal(width, 5)
            await pilot.pause(0)
            assert all(cell_len(text) == width for text in screen(app))
            if width == 40 and words:
                assert screen(app)[1].startswith("   " + words[:18])
                assert screen(app)[1].rstrip().endswith("…") == (cell_len(words) > 37)

    in_app(act)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    st.integers(1, 12),
    st.lists(
        st.tuples(st.sampled_from(["choose", "move", "show", "resize"]), st.integers(-30, 60)), min_size=1, max_size=12
    ),
)
def test_whatever_is_done_the_chosen_row_is_in_sight(height: int, done: list[tuple[str, int]]) -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.listing.show_rows(40, app.row)
        for what, number in done:
            if what == "choose":
                app.listing.choose(number)
            elif what == "move":
                app.listing.move(number)
            elif what == "show":
                app.listing.show_rows(max(0, number), app.row)
            else:
                await pilot.resize_terminal(40, 1 + abs(number) % 15)
            await pilot.pause(0)
            count, height = app.listing.count, app.size.height
            seen = numbers(app)
            assert len(seen) == min(count, height)
            assert seen == list(range(seen[0], seen[0] + len(seen))) if seen else count == 0
            assert chosen(app) == ([app.listing.here] if count else [])

    in_app(act, (40, height))


def test_a_bar_tells_of_the_rows_that_are_out_of_sight() -> None:
    class Barred(Shown):
        def compose(self) -> ComposeResult:
            yield Listing(id="list", has_bar=True)

    async def bars(app: Shown) -> None:
        async with app.run_test(size=(20, 5)) as pilot:
            seen = ((5, 0, "     "), (6, 0, "████│"), (6, 5, "│████"), (50, 0, "█││││"), (50, 49, "││││█"))
            for count, here, bar in seen:
                app.listing.show_rows(count, lambda index: line("a row that is much too long"))
                app.listing.choose(here)
                await pilot.pause()
                shown = screen(app)
                assert "".join(text[-1] for text in shown) == bar.replace(" ", "…")
                assert all("…" in text for text in shown)

    asyncio.run(bars(Barred()))
