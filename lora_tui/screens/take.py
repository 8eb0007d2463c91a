"""Asks for a folder to take pictures from, and whether they are copied or linked."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from engine.plan.errors import inert
from engine.plan.folders import Kind
from lora_tui.no_folder import no_folder
from lora_tui.paths import clean
from lora_tui.widgets.hints import key_name
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, BAD, DIM, STRONG, line
from lora_tui.widgets.path_input import PathInput

TROUBLE_CELLS = 56
_TITLES: dict[str, str] = {"train": "Pictures from which folder?", "reg": "Regularisation pictures from which folder?"}


class TakeQuestion(ModalScreen[tuple[str, bool] | None]):
    """Answers with (folder, link), or None. Down changes between copying and linking."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "#answer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave it", id="back"),
        Binding("down", "change", "copy or link", id="change"),
        Binding("up", "change", "copy or link", show=False),
    ]

    def __init__(self, kind: Kind, project: Path) -> None:
        super().__init__()
        self._kind, self._project = kind, project
        self._link = False

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Lines(id="question")
            yield PathInput(placeholder="a folder; Tab completes it", id="answer")
            yield Lines(id="how")
            yield Lines(id="keys")

    def on_mount(self) -> None:
        detail = "Captions beside them come along. Your own files stay as they are."
        self.query_one("#question", Lines).show([line((_TITLES[self._kind], STRONG)), line((detail, DIM)), line()])
        self._paint()

    def _paint(self, candidates: tuple[str, ...] = (), trouble: str = "") -> None:
        how = "linked: they take no room, and must stay where they are" if self._link else "copied"
        rows = [line(), line(("They are ", DIM), (how, STRONG))]
        rows += [line((f"  {inert(name, 60)}", DIM)) for name in candidates[:6]]
        rows += [line((part, BAD)) for part in textwrap.wrap(trouble, TROUBLE_CELLS)]
        self.query_one("#how", Lines).show(rows)
        bound = {active.binding.id: active.binding for active in self.active_bindings.values()}
        keys = [bound[name] for name in ("submit", "complete", "change", "back") if name in bound]
        parts = [
            part
            for binding in keys
            for part in ((key_name(self.app, binding), ACCENT), (f" {binding.description}  ", DIM))
        ]
        self.query_one("#keys", Lines).show([line(), line(*parts)])

    def action_change(self) -> None:
        self._link = not self._link
        self._paint()

    def on_path_input_completed(self, event: PathInput.Completed) -> None:
        self._paint(tuple(event.candidates))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = clean(event.value)
        if text and Path(text).is_dir():
            self.dismiss((text, self._link))
        elif text:
            self._paint(trouble=no_folder(text))
