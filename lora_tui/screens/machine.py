"""This machine and this terminal: what `lora-tui doctor` says, as a screen. What is amiss comes first."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.errors import UserError, inert
from engine.plan.gpu_catalogue import Card
from lora_tui import themes
from lora_tui.aside import aside
from lora_tui.check_line import Check
from lora_tui.checkup import machine_checks
from lora_tui.hardware import plan_for, planned
from lora_tui.screens.reading import Reading
from lora_tui.terminal import Terminal, examine, remarks
from lora_tui.widgets.paint import ACCENT, DIM, MARKS, PLAIN, STRONG, line

NAME_CELLS = 19  # one more than the longest name
_MARKS = {"ok": "ok", "note": "i", "warning": "!", "error": "x"}
_STYLES = {**MARKS, "i": ACCENT}


@dataclass(frozen=True)
class Fact:
    """One row, and what to do about it. mark: "ok", "i" (worth knowing), "!" or "x"."""

    mark: str
    name: str
    says: str
    advice: str = ""


class MachineScreen(Reading):
    """The terminal is known at once; the checks of the machine take some seconds and are done aside."""

    TITLE_WORDS = "This machine"
    BELOW = "What lora-tui doctor says; t changes the theme, g the GPU to plan for."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "theme", "theme", id="theme", tooltip="Dark, light, high contrast, or no colours at all."),
        Binding("g", "gpu", "plan for a GPU", id="gpu", tooltip="Plan for a GPU elsewhere, or for this machine's own."),
        Binding("exclamation_mark", "back", "back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._terminal: Terminal | None = None
        self._checks: list[Check] | None = None
        self._trouble = ""  # what kept the GPU to plan for from being remembered

    def on_mount(self) -> None:
        super().on_mount()
        aside(examine, self._examined)  # anew: somebody may have mended it meanwhile
        aside(lambda: list(machine_checks()), self._checked)

    def _examined(self, terminal: Terminal) -> None:
        self._terminal = terminal
        if self.is_attached:
            self.lay_out()

    def _checked(self, checks: list[Check]) -> None:
        self._checks = checks
        if self.is_attached:
            self.lay_out()

    def action_theme(self) -> None:
        self.app.choose_theme(themes.following(self.app.theme_name))  # type: ignore[attr-defined]
        self.lay_out()

    def action_gpu(self) -> None:
        from lora_tui.screens.gpus import GpusScreen

        self.app.push_screen(GpusScreen(), self._plan_for)

    def _plan_for(self, chosen: Card | str | None) -> None:
        """Remember it; the project that is open is judged anew by it."""
        if chosen is None:
            return
        try:
            plan_for(chosen if isinstance(chosen, Card) else None)
        except UserError as error:
            self._trouble = str(error)
        else:
            self._trouble = ""
            pages = getattr(self.app, "pages", None)
            if pages is not None:
                pages.wizard.look_again()
        self.lay_out()

    def _plan(self) -> list[Fact]:
        """The GPU elsewhere that is planned for, where one is."""
        facts = [Fact("!", "planned for", f"It could not be remembered: {self._trouble}")] if self._trouble else []
        if (card := planned()) is not None:
            facts.append(Fact("i", "planned for", f"{card.name}: {card.facts}. g changes it."))
        return facts

    def lines(self, width: int) -> list[Text]:
        terminal, machine = self._of_the_terminal(), self._plan() + self._of_the_machine()
        parts = {
            "Look at this": [fact for fact in terminal + machine if fact.mark != "ok"],
            "The terminal": [fact for fact in terminal if fact.mark == "ok"],
            "The machine": [fact for fact in machine if fact.mark == "ok"],
        }
        rows: list[Text] = []
        for title, facts in parts.items():
            if facts:
                rows += [line(), line((f" {title}", STRONG))]
                rows += [row for fact in facts for row in _told(fact, width)]
        if self._checks is None:
            rows += [line(), line((" Looking at the machine; this takes some seconds…", DIM))]
        return rows[1:]

    def _of_the_terminal(self) -> list[Fact]:
        """As it is drawn in now: at the size that the window has, and with or without colours."""
        theme = getattr(self.app, "theme_name", "dark")
        facts = [Fact("ok", "theme", f"{theme}: {themes.THEMES[theme]}")]
        if self._terminal is not None:
            size = self.app.size
            here = replace(self._terminal, interactive=True, columns=size.width, rows=size.height)
            found = remarks(here, coloured=theme != "none")
            facts += [Fact(_MARKS[one.level], one.what, one.says, one.hint) for one in found]
        return facts

    def _of_the_machine(self) -> list[Fact]:
        found = [one for one in self._checks or () if one.name != "planned for"]  # which may have changed since
        return [Fact(_MARKS[one.status], one.name, one.value, one.advice) for one in found]


def _told(fact: Fact, width: int) -> list[Text]:
    """A row, and below it what to do."""
    room = max(20, width - NAME_CELLS - 5)
    first, *rest = _wrapped(fact.says, room) or [""]
    name = (f"{inert(fact.name):<{NAME_CELLS}}", DIM)
    more = [*rest, *_wrapped(fact.advice, room)]
    return [
        line((f" {fact.mark:<3}", _STYLES[fact.mark]), name, (first, PLAIN)),
        *(line(" " * (NAME_CELLS + 4), (part, DIM)) for part in more),
    ]


def _wrapped(text: str, room: int) -> list[str]:
    """In lines, without breaking what is typed somewhere, such as `set-clipboard`, at its hyphen."""
    return textwrap.wrap(inert(text), room, break_on_hyphens=False)
