"""The line at the bottom: the reason stays in sight, whatever it is said of; and lines lose blanks without a sign."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult

from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import line
from lora_tui.widgets.status import Status


class Shown(App[None]):
    def compose(self) -> ComposeResult:
        yield Lines(id="lines")
        yield Status(id="status")


def drawn(widget: Lines) -> list[str]:
    return [widget.render_line(y).text.rstrip() for y in range(len(widget.plain))]


def test_a_command_is_not_torn_at_its_hyphens() -> None:
    async def run() -> None:
        app = Shown()
        async with app.run_test(size=(80, 24)) as pilot:
            status = app.query_one(Status)
            status.say("x", 'Taggers need ONNX runtime, which is not installed. Run: pip install "lora-tui[tagger]"')
            await pilot.pause()
            assert drawn(status)[1].strip() == '"lora-tui[tagger]"'

    asyncio.run(run())


@pytest.mark.parametrize("length", [30, 70, 300])
def test_a_long_path_does_not_cut_off_what_is_wrong_with_it(length: int) -> None:
    path = f"/data/{'x' * length}/end"

    async def run() -> None:
        app = Shown()
        async with app.run_test(size=(80, 24)) as pilot:
            status = app.query_one(Status)
            status.say("x", f"The base model {path} does not exist. Check the spelling of the path, or browse for it.")
            await pilot.pause()
            shown = " ".join(drawn(status))
            assert shown.endswith("or browse for it.")
            assert (path in shown.replace(" ", "")) == (length < 70)
            assert len(drawn(status)) <= 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "do"),
    [
        ("9,998 of 10,000 pictures have no caption: {}, {} and 9,996 more.", "m goes to the next, Enter edits."),
        ("2 pictures cannot be read: {}.", "Replace them with whole copies, or delete them. w lists all 12."),
    ],
)
@pytest.mark.parametrize("name", ["a long name, (copy 3) " * 6, "x" * 300, "name"])
def test_what_to_do_stays_in_sight_whatever_comes_before_it(said: str, do: str, name: str) -> None:
    async def run() -> None:
        app = Shown()
        async with app.run_test(size=(80, 24)) as pilot:
            status = app.query_one(Status)
            status.say("!", f"{said.format(name, name)} {do}")
            await pilot.pause()
            shown = " ".join(" ".join(drawn(status)).split())
            assert shown.startswith(f"! {said.partition(':')[0]}")
            assert shown.endswith(do)
            assert len(drawn(status)) <= 2

    asyncio.run(run())


def test_only_letters_that_are_cut_off_leave_a_sign() -> None:
    async def run() -> None:
        app = Shown()
        async with app.run_test(size=(20, 10)) as pilot:
            lines = app.query_one("#lines", Lines)
            lines.show([line("word" + " " * 30), line("x" * 30)])
            await pilot.pause()
            assert drawn(lines) == ["word", "x" * (lines.size.width - 1) + "…"]

    asyncio.run(run())
