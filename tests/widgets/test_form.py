"""The form: rows that are chosen and edited by keys, and nothing that a label or value could do to a terminal."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input

from engine.plan.job_options import job_options
from engine.plan.options import options
from lora_tui.key_order import KeysInOrder
from lora_tui.widgets.form import LABEL_CELLS, Form, Row, RowInput, RowPath
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import RAISED

ROWS = [
    Row("h", "What it learns", kind="heading"),
    Row("name", "Name", "face", aside="the LoRA's"),
    Row("rank", "Rank", "32", kind="number", changed=True),
    Row("note", "of which more below", kind="note"),
    Row("how", "Optimizer", "Prodigy", kind="choice", mark="!"),
    Row("base", "Base model", "/models/x", kind="path"),
    Row("go", "Start", aside="now", kind="action"),
]
CHOSEN = ["name", "rank", "how", "base", "go"]  # what can be


class Shown(KeysInOrder):
    """A form, and the keys that the wizard's pages give it."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "row(1)"),
        Binding("up", "row(-1)"),
        Binding("enter", "enter"),
        Binding("left", "step(-1)"),
        Binding("right", "step(1)"),
    ]

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self.rows = rows
        self.heard: list[Message] = []

    def compose(self) -> ComposeResult:
        yield Form(id="form")

    def on_mount(self) -> None:
        self.form.show(self.rows)

    @property
    def form(self) -> Form:
        return self.query_one(Form)

    def action_row(self, by: int) -> None:
        self.form.move(by)

    def action_enter(self) -> None:
        self.form.enter()

    def action_step(self, by: int) -> None:
        self.form.step(by)

    def on_form_edited(self, event: Form.Edited) -> None:
        self.heard.append(event)

    def on_form_stepped(self, event: Form.Stepped) -> None:
        self.heard.append(event)

    def on_form_done(self, event: Form.Done) -> None:
        self.heard.append(event)

    def on_form_typing(self, event: Form.Typing) -> None:
        self.heard.append(event)

    def said(self, kind: type[Message]) -> list[tuple[Any, ...]]:
        return [tuple(vars(event)[name] for name in kind.__match_args__) for event in self.heard if type(event) is kind]


Act = Callable[[Shown, Pilot[None]], Awaitable[None]]


def in_app(act: Act, rows: Sequence[Row] = ROWS, size: tuple[int, int] = (80, 24)) -> Shown:
    app = Shown(rows)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await act(app, pilot)

    asyncio.run(run())
    return app


def screen(app: Shown) -> list[str]:
    """What stands on the screen, with the spaces at the end."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def inert_and_whole(app: Shown) -> None:
    """Nothing on the screen that a terminal could obey, and each line exactly as wide as the screen."""
    width = app.size.width
    for text in screen(app):
        assert [hex(ord(c)) for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")] == []
        assert cell_len(text) == width


def place_of(app: Shown, key: str) -> int:
    """The line of the screen in which a row stands; outside of 0 to its height where it is out of sight."""
    at = next(number for number, row in enumerate(app.form.rows) if row.key == key)
    return app.query_one(Lines).region.y + at


def in_sight(app: Shown, key: str) -> bool:
    region = app.form.region
    return region.y <= place_of(app, key) < region.bottom


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause(0)


# ------------------------------------------------------------------------------------------------- showing and moving


def test_rows_show_what_they_were_given() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        rows = [line.rstrip() for line in screen(app)]
        assert rows[0] == " What it learns"
        assert rows[1].split() == ["▸", "Name", "face", "the", "LoRA's"]
        assert rows[1].index("face") == rows[2].index("32") == rows[4].index("Prodigy") == 3 + LABEL_CELLS
        assert rows[3] == "   of which more below"
        assert rows[4].split() == ["Optimizer", "Prodigy", "!"]
        assert rows[6].split() == ["Start", "now"]
        assert rows[7:] == [""] * 17

    in_app(act)


def test_headings_and_notes_cannot_be_chosen() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        form, seen = app.form, []
        for _ in range(len(ROWS) + 2):
            seen.append(form.here)
            await press(pilot, "down")
        assert seen == [*CHOSEN, *["go"] * (len(seen) - len(CHOSEN))]
        for _ in range(len(ROWS) + 2):
            await press(pilot, "up")
        assert form.here == "name"
        for key in ("h", "note", "nothing"):
            form.choose(key)
            assert form.here == "name"
        await pilot.click(Form, offset=(5, 3))
        assert form.here == "name"

    in_app(act)


def test_a_form_of_headings_or_of_nothing_does_nothing() -> None:
    for rows in ([], ROWS[:1], [ROWS[3]] * 2):

        async def act(app: Shown, pilot: Pilot[None]) -> None:
            assert (app.form.here, app.form.row) == ("", None)
            await press(pilot, "down", "enter", "right", "up")
            await pilot.click(Form, offset=(5, 0))
            assert not app.form.editing

        assert in_app(act, rows).heard == []


def test_the_chosen_row_stays_while_it_is_there() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        form = app.form
        form.choose("how")
        form.show([Row("first", "First"), *reversed(ROWS)])
        assert form.here == "how"
        form.show([row for row in ROWS if row.key != "how"])
        assert form.here == "name"
        form.show([])
        assert form.here == ""
        form.show(ROWS)
        assert form.here == "name"
        await pilot.pause(0)
        assert screen(app)[1].startswith(" ▸ Name")

    in_app(act)


def test_enter_and_arrows_mean_what_the_row_is() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        for key in CHOSEN:
            app.form.choose(key)
            await press(pilot, "right", "left")
        for key in ("how", "go"):
            app.form.choose(key)
            await press(pilot, "enter")
            assert not app.form.editing

    app = in_app(act)
    assert app.said(Form.Stepped) == [("rank", 1), ("rank", -1), ("how", 1), ("how", -1)]
    assert app.said(Form.Done) == [("how",), ("go",)]


def test_a_click_chooses_and_a_double_click_opens() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await pilot.click(Form, offset=(5, app.form._place(app.form.here)))
        assert not app.form.editing  # the first click on a row that was chosen already
        await pilot.click(Form, offset=(5, 2))
        assert (app.form.here, app.form.editing) == ("rank", False)
        await pilot.click(Form, offset=(5, 20))  # below the last
        assert app.form.here == "rank"
        await pilot.click(Form, offset=(5, 2), times=2)
        assert app.form.editing

    in_app(act)


# ------------------------------------------------------------------------------------------------- editing


def test_what_is_typed_is_told_and_the_form_changes_nothing_itself() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await press(pilot, "enter")
        editor = app.query_one(RowInput)
        assert app.form.editing
        assert editor.has_focus
        assert (editor.value, editor.cursor_position) == ("face", 4)
        assert (editor.region.y, editor.region.x) == (1, 3 + LABEL_CELLS)
        await press(pilot, *"two", "backspace", "enter")
        assert not app.form.editing
        assert not editor.display
        assert app.focused is None
        assert app.form.rows == ROWS

    app = in_app(act)
    assert app.said(Form.Edited) == [("name", "facetw")]
    assert app.said(Form.Typing)[-1] == ("name", "facetw")


def test_an_editor_begins_with_the_text_and_not_with_what_is_shown() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await press(pilot, "enter")
        assert app.query_one(RowInput).value == "0.0001"
        await press(pilot, "escape")

    in_app(act, [Row("lr", "Learning rate", "1e-4 (Prodigy finds it)", text="0.0001")])


def test_esc_leaves_it_as_it_was() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        before = screen(app)
        await press(pilot, "enter", *"xyz", "escape")
        assert not app.form.editing
        assert app.focused is None
        assert screen(app) == before
        await press(pilot, "enter")
        assert app.query_one(RowInput).value == "face"
        await press(pilot, "escape")

    assert in_app(act).said(Form.Edited) == []


def test_arrows_take_what_is_typed_and_move() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await press(pilot, "enter", "1", "down")
        assert (app.form.here, app.form.editing) == ("rank", False)
        await press(pilot, "enter", "2", "up")
        assert (app.form.here, app.form.editing) == ("name", False)
        await press(pilot, "enter", "3", "up")  # the first: it stays
        assert app.form.here == "name"

    assert in_app(act).said(Form.Edited) == [("name", "face1"), ("rank", "2"), ("name", "face3")]


def test_keys_that_arrive_one_by_one_reach_the_row_they_were_meant_for() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await press(pilot, "enter", "1", "down", "enter", "2", "enter")

    assert in_app(act).said(Form.Edited) == [("name", "face1"), ("rank", "2")]


@pytest.mark.parametrize(
    ("keys", "edited"),
    [
        (["1", "down", "enter", "2", "enter"], [("name", "face1"), ("rank", "2")]),
        (["1", "enter", "down", "enter", "2", "enter"], [("name", "face1"), ("rank", "2")]),
    ],
    ids=["arrow", "enter"],
)
def test_keys_that_arrive_together_reach_the_row_they_were_meant_for(
    keys: list[str], edited: list[tuple[str, str]]
) -> None:
    """Over a slow line many keys come in one piece."""

    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await press(pilot, "enter")
        for key in keys:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        for _ in range(3):
            await pilot.pause()

    assert in_app(act).said(Form.Edited) == edited


def test_path_rows_complete_with_tab(tmp_path: Path) -> None:
    (tmp_path / "pictures of anna").mkdir()
    rows = [Row("text", "Text", f"{tmp_path}/pic"), Row("images", "Pictures", f"{tmp_path}/pic", kind="path")]

    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.form.choose("images")
        await press(pilot, "enter", "tab")
        editor = app.query_one(RowPath)
        for _ in range(200):  # it is looked up beside
            if editor.value.endswith("/"):
                break
            await asyncio.sleep(0.01)
        assert editor.has_focus
        await press(pilot, "enter")

    assert in_app(act, rows).said(Form.Edited) == [("images", f"{tmp_path}/pictures of anna/")]


def test_another_kind_of_row_has_the_other_editor_and_never_both() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        for key, kind in (("base", RowPath), ("name", RowInput), ("base", RowPath)):
            app.form.choose(key)
            await press(pilot, "enter")
            assert [type(editor) for editor in app.query(Input) if editor.display] == [kind]
            assert app.query_one(kind).region.y == place_of(app, key)
            await press(pilot, "escape")

    in_app(act)


def test_an_editor_fits_whatever_the_width() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await press(pilot, "enter")
        for width in (200, 60, 45, 30, 12, 1):
            await pilot.resize_terminal(width, 10)
            await pilot.pause(0)
            inert_and_whole(app)
        await pilot.resize_terminal(120, 10)
        await pilot.pause(0)
        region = app.query_one(RowInput).region
        assert region.right <= 120
        assert region.width > 60
        await press(pilot, "x", "enter")

    assert in_app(act).said(Form.Edited) == [("name", "facex")]


def test_the_editor_stays_over_its_row() -> None:
    """Findings come while somebody types, and rows with them."""

    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await press(pilot, "enter", "x")
        app.form.show([Row("new", "something was found", kind="note"), *ROWS])
        await pilot.pause(0)
        assert app.form.here == "name"
        assert app.query_one(RowInput).value == "facex"
        assert app.query_one(RowInput).region.y == place_of(app, "name")

    in_app(act)


# ------------------------------------------------------------------------------------------------- more rows than lines

MANY = [Row(f"r{number}", f"Row {number}", str(number), kind="number") for number in range(200)]


def test_choosing_brings_into_sight() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        for key in ("r199", "r0", "r100", "r101", "r99", "r20"):
            app.form.choose(key)
            await pilot.pause()
            assert app.form.here == key
            assert in_sight(app, key)
            assert screen(app)[place_of(app, key)].startswith(f" ▸ Row {key[1:]} ")
        app.form.scroll_to(y=150, animate=False)
        await pilot.pause()
        assert not in_sight(app, "r20")
        app.form.choose("r20")  # chosen already, and out of sight
        await pilot.pause()
        assert in_sight(app, "r20")

    in_app(act, MANY, (80, 12))


def test_walking_through_keeps_the_chosen_row_in_sight() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        for by in (1, -1):
            for _ in range(20):
                app.form.move(by)
                await pilot.pause()
                assert in_sight(app, app.form.here)

    in_app(act, MANY[:20], (80, 7))


def test_the_heading_above_the_first_row_comes_into_sight_with_it() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.form.choose("r199")
        await pilot.pause()
        app.form.choose("r0")
        await pilot.pause()
        assert in_sight(app, "top")

    in_app(act, [Row("top", "Rows", kind="heading"), *MANY], (80, 10))


def test_a_row_that_was_shown_a_moment_ago_comes_into_sight() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.form.show(MANY)
        app.form.choose("r199")  # before anything was laid out
        for _ in range(3):
            await pilot.pause()
        assert app.form.here == "r199"
        assert in_sight(app, "r199")

    in_app(act, ROWS, (80, 12))


def test_an_editor_far_down_lies_over_its_row() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        app.form.choose("r150")
        await press(pilot, "enter")
        assert in_sight(app, "r150")
        assert app.query_one(RowInput).region.y == place_of(app, "r150")
        await press(pilot, "7", "down")
        assert app.form.here == "r151"

    assert in_app(act, MANY, (80, 12)).said(Form.Edited) == [("r150", "7")]


def test_nothing_is_painted_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        painted: list[tuple[Any, ...]] = []
        lines = app.query_one(Lines)
        app.form.show(MANY)  # now that the width is known
        monkeypatch.setattr(lines, "refresh", lambda *regions, **_: painted.append(regions))
        app.form.show(list(MANY))
        assert painted == []
        app.form.show([*MANY[:5], Row("r5", "Row 5", "new", kind="number"), *MANY[6:]])
        ((region,),) = painted
        assert (region.y, region.height) == (5, 1)

    in_app(act, MANY, (80, 12))


def test_the_chosen_row_is_marked_over_the_whole_width() -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(120, 24)
        await pilot.pause()
        strip = app.screen._compositor.render_strips()[place_of(app, "name")]
        shades = {
            str(segment.style.bgcolor.triplet.hex) for segment in strip if segment.style and segment.style.bgcolor
        }
        assert shades == {RAISED}

    in_app(act)


# ------------------------------------------------------------------------------------------------- hostile words

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "c1": "\x9b31m\x85",
    "line ends": "a\nb\rc\u2028d",
    "tab": "a\tb",
    "markup": "[red]x[/red] [@click=app.quit]y[/] [b",
    "bidi": "\u202eabc\u200b",
    "bytes": b"\xff\xfe".decode(errors="surrogateescape"),
    "long": "x" * 5000,
    "wide": "写真" * 40,
    "long and wide": "写" * 5000,
    "combining": "e\u0301" * 300,
    "emoji": "👩‍👩‍👧" * 30,
    "nul": "\0",
}
CURSED = pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)


async def at_all_sizes(app: Shown, pilot: Pilot[None]) -> None:
    for size in ((200, 8), (33, 8), (1, 8), (80, 8)):
        await pilot.resize_terminal(*size)
        inert_and_whole(app)


@CURSED
def test_hostile_labels_and_values_are_shown_inert(words: str) -> None:
    kinds: list[Any] = ["text", "number", "choice", "switch", "path", "action"]
    rows = [Row(kind, words, words, mark="!", kind=kind) for kind in kinds]

    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await at_all_sizes(app, pilot)
        for _ in rows:
            app.form.move(1)
            await pilot.pause(0)
            inert_and_whole(app)

    in_app(act, rows)


@CURSED
@pytest.mark.parametrize("place", ["label", "aside"])
def test_hostile_headings_notes_and_asides_are_shown_inert(words: str, place: str) -> None:
    labels = [Row("a", words, kind="heading"), Row("b", words, kind="note")]
    asides = [Row("a", "Label", "value", aside=words), Row("b", "Label", aside=words, kind="action")]

    async def act(app: Shown, pilot: Pilot[None]) -> None:
        await at_all_sizes(app, pilot)

    in_app(act, labels if place == "label" else asides)


@CURSED
def test_hostile_values_are_edited_inert_and_kept(words: str) -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        for key in ("text", "path"):
            app.form.choose(key)
            await press(pilot, "enter")
            inert_and_whole(app)
            await press(pilot, "left", "home", "end")
            inert_and_whole(app)
            await press(pilot, "enter")

    rows = [Row("text", "Text", "shown", text=words), Row("path", "Path", "shown", text=words, kind="path")]
    assert in_app(act, rows).said(Form.Edited) == [("text", words), ("path", words)]


def test_markup_is_shown_as_it_is() -> None:
    words = HOSTILE["markup"]

    async def act(app: Shown, pilot: Pilot[None]) -> None:
        assert words in screen(app)[0]
        assert words[:20] in screen(app)[1]

    in_app(act, [Row("a", "Label", words), Row("b", words, "value")])


LABELS = {
    "28 cells": "x" * 28,
    "a letter longer": "x" * 29,
    "very long": "x" * 300,
    "wide": "写真" * 20,
    "escapes": "\x1b[2J" * 10,
}


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
def test_values_stand_in_their_column_whatever_the_label(label: str) -> None:
    async def act(app: Shown, pilot: Pilot[None]) -> None:
        row = screen(app)[0]
        assert cell_len(row[: row.index("VALUE")]) == 3 + LABEL_CELLS

    in_app(act, [Row("a", label, "VALUE")])


def test_no_name_of_an_option_is_cut_off() -> None:
    named = [*options(), *job_options("captioning").values(), *job_options("regularising").values()]
    assert [option.title for option in named if cell_len(option.title) >= LABEL_CELLS] == []
