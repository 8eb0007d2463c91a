"""One picture after another, as large as the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.errors import inert
from lora_tui.screens.page import Page
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, line
from lora_tui.widgets.picture import Picture


class LargePicture(Page[None]):
    """Shows `paths[at]`, called `names[at]` or as its file is; the arrow keys go through them."""

    CSS_PATH = "samples.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "before", id="earlier", tooltip="The picture before."),
        Binding("right", "turn(1)", "after", id="later", tooltip="The picture after."),
        Binding("up", "turn(-1)", "", show=False),
        Binding("down", "turn(1)", "", show=False),
        Binding("escape", "back", "back", id="back", tooltip="Back."),
        Binding("z", "back", "back", show=False),
    ]

    def __init__(self, paths: Sequence[Path], at: int = 0, names: Sequence[str] = ()) -> None:
        super().__init__()
        self._paths, self._at = list(paths), at
        self._names = list(names) or [inert(path.name) for path in paths]

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Picture(id="large")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self._paint()
        self.show_hints()

    def _paint(self) -> None:
        path = self._paths[self._at]
        first = line((f" {self._names[self._at]}", STRONG), (f"  {self._at + 1} of {len(self._paths)}", DIM))
        self.query_one("#header", Lines).show([first, line((f" {inert(path)}", DIM))])
        self.query_one(Picture).show_path(path)

    def action_turn(self, by: int) -> None:
        self._at = max(0, min(len(self._paths) - 1, self._at + by))
        self._paint()

    def action_back(self) -> None:
        self.app.pop_screen()
