"""The colours of each theme, and how a line that was painted in those of the dark one is shown in another.

All lie on the 256-colour palette, so that they look the same where ssh has lost the news of more.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import lru_cache

from rich.style import Style
from rich.text import Span, Text
from textual.theme import Theme


@dataclass(frozen=True)
class Colours:
    """One theme. ground: behind everything; raised: header, hints, the chosen row; typed: behind an editor."""

    ground: str
    raised: str
    low: str  # a ground for what is less than the rest
    typed: str
    words: str
    strong: str
    dim: str
    faint: str
    rule: str
    accent: str
    good: str
    warn: str
    bad: str


DARK = Colours(
    ground="#121212", raised="#262626", low="#1c1c1c", typed="#3a3a3a",
    words="#d0d0d0", strong="#ffffff", dim="#8a8a8a", faint="#5f5f5f", rule="#4e4e4e",
    accent="#5fafd7", good="#87d787", warn="#ffd75f", bad="#ff8787",
)  # fmt: skip
LIGHT = Colours(
    ground="#ffffff", raised="#e4e4e4", low="#eeeeee", typed="#d7d7ff",
    words="#303030", strong="#000000", dim="#5f5f5f", faint="#a8a8a8", rule="#b2b2b2",
    accent="#005f87", good="#005f00", warn="#875f00", bad="#af0000",
)  # fmt: skip
CONTRAST = Colours(
    ground="#000000", raised="#303030", low="#000000", typed="#00005f",
    words="#ffffff", strong="#ffffff", dim="#dadada", faint="#9e9e9e", rule="#9e9e9e",
    accent="#87d7ff", good="#87ff87", warn="#ffff5f", bad="#ffafaf",
)  # fmt: skip
_COLOURS = {"dark": DARK, "light": LIGHT, "contrast": CONTRAST, "none": DARK}
PREFIX = "lora-tui-"  # of the names that Textual knows the themes by


def textual_theme(name: str) -> Theme:
    """A theme as Textual wants it, for its own widgets and the style sheets."""
    colours = _COLOURS[name]
    variables = {"border": colours.accent, "border-blurred": colours.rule, "foreground-muted": colours.dim}
    if name == "none":
        variables["input-cursor-text-style"] = "reverse"
    return Theme(
        PREFIX + name, primary=colours.accent, secondary=colours.good, accent=colours.accent, warning=colours.warn,
        error=colours.bad, success=colours.good, foreground=colours.words, background=colours.ground,
        surface=colours.low, panel=colours.raised, boost=colours.typed, dark=name != "light", variables=variables,
    )  # fmt: skip


def repaint(text: Text, theme: str) -> Text:
    """A text painted in the dark theme's colours, in those of `theme`, which is named as Textual knows it."""
    name = theme.removeprefix(PREFIX)
    if name == "dark" or name not in _COLOURS:
        return text
    spans = [Span(span.start, span.end, _repainted(span.style, name)) for span in text.spans]
    return Text(text.plain, style=_repainted(text.style, name), no_wrap=True, end="", spans=spans)


@lru_cache(1024)
def _repainted(style: Style | str, name: str) -> Style | str:
    if isinstance(style, str):
        return style
    ink, ground = (None if found is None else found.get_truecolor().hex for found in (style.color, style.bgcolor))
    if name == "none":
        # What lies on a ground of its own is reversed; what is bold or underlined stays so.
        return Style(bold=style.bold, underline=style.underline, reverse=ground is not None or None)
    table = _table(name)
    ink, ground = (None if found is None else table.get(found, found) for found in (ink, ground))
    return style + Style(color=ink, bgcolor=ground)


@lru_cache
def _table(name: str) -> dict[str, str]:
    # A colour that two roles of the dark theme shared would be lost here: a test sees to it that none is.
    return dict(zip(astuple(DARK), astuple(_COLOURS[name]), strict=True))
