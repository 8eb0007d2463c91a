"""How much the terminal is asked to show: what somebody wants, as far as this terminal can do it.

Nothing here loads Textual: it reads the environment as it is loaded, and `look_here` has something to say there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lora_tui import terminal, themes

if TYPE_CHECKING:
    from textual.widget import Widget

PAINTS_PER_SECOND = 2.0  # enough to see that it lives; 5 would be four times the work and the bytes
SLOW_PAINTS_PER_SECOND = 0.5


@dataclass(frozen=True)
class Look:
    """How much the terminal is asked to show."""

    ascii_only: bool = False
    images: bool = True
    mouse: bool = True
    paints_per_second: float = PAINTS_PER_SECOND
    sharp: type[Widget] | None = None  # what draws large pictures, where the terminal can show sharp ones
    theme: str = "dark"  # one of lora_tui.themes


def look_here(
    ascii_only: bool = False,
    images: bool = True,
    mouse: bool = True,
    paints_per_second: float = PAINTS_PER_SECOND,
    theme: str | None = None,
) -> Look:
    """What is wanted, in the terminal of this process. Before Textual is loaded. theme: None is the one chosen last."""
    found = terminal.examine()
    terminal.prepare(found)
    chosen = themes.choose(theme, colours=found.colours != "none")
    return Look(ascii_only or not found.utf8, images, mouse, paints_per_second, theme=chosen)
