"""Themes: what is chosen when, that every colour has its place in each, and that all can be read."""

from __future__ import annotations

import re
from dataclasses import astuple, fields
from pathlib import Path

import pytest
from rich.color import ColorType
from rich.segment import Segment
from textual.color import Color
from textual.pilot import Pilot

from lora_tui import themes
from lora_tui.look import Look
from lora_tui.themes import THEMES
from lora_tui.widgets.colours import CONTRAST, DARK, LIGHT, Colours
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press

GROUNDS = ("ground", "raised", "low")
LETTERS = ("words", "strong", "dim", "accent", "good", "warn", "bad")
LEVELS = {0, 95, 135, 175, 215, 255}


def rgb(colour: str) -> tuple[int, int, int]:
    return Color.parse(colour).rgb


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's ratio of two colours, from 1 to 21."""

    def light(colour: str) -> float:
        parts = [part / 255 for part in rgb(colour)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_no_two_roles_of_the_dark_theme_share_a_colour() -> None:
    assert len(set(astuple(DARK))) == len(fields(Colours))


@pytest.mark.parametrize("colours", [DARK, LIGHT, CONTRAST])
def test_every_colour_is_one_of_the_256(colours: Colours) -> None:
    for colour in astuple(colours):
        parts = rgb(colour)
        grey = len(set(parts)) == 1 and (parts[0] - 8) % 10 == 0 and 8 <= parts[0] <= 238
        assert grey or set(parts) <= LEVELS, colour


@pytest.mark.parametrize(("colours", "least"), [(DARK, 4.2), (LIGHT, 4.5), (CONTRAST, 7.0)])
def test_letters_stand_out_from_what_they_lie_on(colours: Colours, least: float) -> None:
    """4.5 is WCAG's AA, 7 its AAA. (The dim words of the dark theme on a chosen row have 4.3.)"""
    pairs = [(letters, ground) for letters in LETTERS for ground in GROUNDS] + [("strong", "typed")]
    for letters, ground in pairs:
        assert contrast(getattr(colours, letters), getattr(colours, ground)) >= least, (letters, ground)


def test_what_is_asked_for_comes_before_what_was_chosen_and_that_before_what_the_terminal_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    light_terminal = {"COLORFGBG": "0;15"}
    assert themes.choose(None, {}) == "dark"
    assert themes.choose(None, light_terminal) == "light"
    assert themes.choose(None, {"COLORFGBG": "15;default;0"}) == "dark"
    assert themes.choose(None, {**light_terminal, "NO_COLOR": "1"}) == "none"
    assert themes.choose(None, {**light_terminal, "NO_COLOR": ""}) == "light"
    themes.remember("contrast")
    assert themes.choose(None, light_terminal) == "contrast"
    assert themes.choose(None, {"NO_COLOR": "1"}) == "contrast"
    assert themes.choose(None, {}, colours=False) == "none"
    assert themes.choose("light", {"NO_COLOR": "1"}) == "light"


@pytest.mark.parametrize("damaged", ["", "[]", '{"theme": 3}', '{"theme": "pink"}', "\0", "[" * 100_000])
def test_a_damaged_choice_is_no_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    themes.remember("light")
    (path,) = tmp_path.rglob("look.json")
    path.write_text(damaged)
    assert themes.remembered() is None


def colours_on(pilot: Pilot[None]) -> set[str]:
    """Every colour that is sent to the terminal for this screen, as #rrggbb; "default" is the terminal's own."""
    found = set()
    for strip in pilot.app.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style if isinstance(segment, Segment) else None
            for colour in (style.color, style.bgcolor) if style is not None else ():
                if colour is not None:
                    found.add("default" if colour.type == ColorType.DEFAULT else colour.get_truecolor().hex)
    return found


@pytest.mark.parametrize(("theme", "colours"), [("dark", DARK), ("light", LIGHT), ("contrast", CONTRAST)])
def test_a_theme_shows_no_colour_of_another(folder: Path, theme: str, colours: Colours) -> None:
    async def act(pilot: Pilot[None]) -> None:
        for number in "1245679":
            await press(pilot, number)
            shown = colours_on(pilot)
            others = {c for other in (DARK, LIGHT, CONTRAST) for c in astuple(other)} - set(astuple(colours))
            assert shown.isdisjoint(others), number
            assert {colours.ground, colours.raised, colours.accent} <= shown

    drive(folder, act, look=Look(theme=theme, images=False))


def test_without_colours_none_is_sent_and_the_chosen_row_is_reversed(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        for number in "1245679":
            await press(pilot, number)
            assert colours_on(pilot) <= {"default"}, number
        await press(pilot, "6")
        strips = pilot.app.screen._compositor.render_strips()
        reversed_rows = [
            strip.text
            for strip in strips
            if any(piece.style and piece.style.reverse and len(piece.text) > 5 for piece in strip)
        ]
        assert len(reversed_rows) == 2  # the tab in front and the chosen row
        assert "Start from" in reversed_rows[1]

    drive(folder, act, look=Look(theme="none", images=False))


def test_one_key_goes_through_the_themes_and_the_choice_is_kept(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark")
        for name in ("light", "contrast", "none", "dark", "light"):
            await press(pilot, "t")
            assert pilot.app.theme_name == name  # type: ignore[attr-defined]
            assert themes.remembered() == name
        await press(pilot, "escape")
        assert LIGHT.ground in colours_on(pilot)
        assert DARK.ground not in colours_on(pilot)

    drive(folder, act)


@pytest.mark.parametrize("name", list(THEMES))
def test_the_palette_finds_themes(folder: Path, name: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "colon", *"theme", "space", *name)
        assert re.search(rf"Theme: {name}", text(pilot))
        await press(pilot, "enter")
        assert pilot.app.theme_name == name  # type: ignore[attr-defined]

    drive(folder, act)


@pytest.mark.parametrize("keys", ["slash", "colon"])
def test_the_palette_is_plain_ascii_where_the_terminal_is(folder: Path, keys: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, keys, *"memory" if keys == "slash" else "settings")
        shown = text(pilot)
        assert "settings" in shown or "memory" in shown
        assert shown.isascii(), [letter for letter in shown if not letter.isascii()]

    drive(folder, act, look=Look(ascii_only=True))
