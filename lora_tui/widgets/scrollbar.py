"""Scroll bars for terminals without UTF-8."""

from __future__ import annotations

from typing import ClassVar

from textual.scrollbar import ScrollBar, ScrollBarRender


class _PlainBars(ScrollBarRender):
    """Ends at whole cells: Textual draws them finer, with letters that such a terminal does not have."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def draw_bars(ascii_only: bool) -> None:
    """How the scroll bars of this process are drawn."""
    ScrollBar.renderer = _PlainBars if ascii_only else ScrollBarRender
