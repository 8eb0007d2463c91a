"""The GPU memory of a training, part by part, and what to change where it does not fit: the page behind `g`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.errors import UserError
from engine.plan.gpus import gib
from engine.plan.memory_fixes import Fix
from lora_tui.estimate_texts import (
    as_set,
    better_there,
    disk_sentence,
    of_memory,
    outlook,
    parts,
    phases,
    time_sentence,
    verdict,
)
from lora_tui.screens.sentences import Says
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.memory_meter import meter
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, STRONG, WARN, bar, line

if TYPE_CHECKING:
    from engine.plan.estimate import Estimate
    from lora_tui.survey import Survey

NAME_CELLS, FIGURE_CELLS, BAR_CELLS = 20, 10, 24
FRAME_ROWS = 6  # header, status and keys, as long as nothing is laid out yet
ABOUT_ROWS = 5  # of what is said of a change on a small screen
MEMORY_KEY = Binding("g", "memory", "memory", id="memory", tooltip="The GPU memory, part by part, and what saves some.")


def meter_lines(survey: Survey | None, cells: int) -> list[Text]:
    """The meter that is always in sight where the memory is decided."""
    if survey is None or survey.settings is None:
        return [line((" GPU memory  …", DIM))]
    if survey.estimate is None:
        return [line((" GPU memory  the practice model takes hardly any", DIM))]
    return [line(*meter(survey.estimate, cells))]


class MemoryPage(WizardPage):
    """Lies over a step's own screen; Esc goes back to it. Enter makes the chosen change."""

    STEP: ClassVar[StepName] = "settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "change it", id="apply", tooltip="Make the chosen change; u takes it back."),
        Binding("a", "apply_all", "all", id="apply_all", tooltip="Make all the changes that are listed."),
        Binding("u", "undo", "take back", id="undo", tooltip="Take back the last change of the project."),
        Binding("up", "row(-1)", "row", show=False, tooltip="The change above or below."),
        Binding("down", "row(1)", "row", show=False, tooltip="The change above or below."),
        Binding("p", "plan", "another GPU", id="plan", tooltip="Plan for another GPU, for instance one to be rented."),
        Binding("escape", "home", "back", id="home", tooltip="Back to the settings."),
        Binding("g", "home", "back", show=False, tooltip="Back to the settings."),
    ]

    def body(self) -> ComposeResult:
        yield Lines(id="bill")
        yield Lines(id="heading")
        yield Listing(id="fixes", has_bar=True)
        yield Lines(id="about")

    @property
    def estimate(self) -> Estimate | None:
        return self.wizard.survey.estimate if self.wizard.survey is not None else None

    @property
    def fixes(self) -> tuple[Fix, ...]:
        return self.estimate.fixes if self.estimate is not None else ()

    @property
    def chosen(self) -> Fix | None:
        listing = self.query_one(Listing)
        return self.fixes[listing.here] if listing.here < len(self.fixes) else None

    def update(self) -> None:
        width, found = self.room - 2, self.estimate
        roomy = self.has_class("-roomy")
        rows = self.query_one("#content").size.height or self.app.size.height - FRAME_ROWS
        bill = (
            bill_lines(found, self.chosen, width, rows, roomy)
            if found is not None
            else meter_lines(self.wizard.survey, width)
        )
        self.query_one("#bill", Lines).show(bill)
        listing, count = self.query_one(Listing), len(self.fixes)
        listing.show_rows(count, self._row)
        which = f" ({listing.here + 1} of {count})" if count > 1 else ""
        heading = [line((f" What to change, the least harm first{which}:", STRONG))] if self.fixes else []
        self.query_one("#heading", Lines).show([line(), *heading] if roomy else heading)
        about = _about(self.chosen, width) if self.chosen is not None else []
        self.query_one("#about", Lines).show(about)

    def sentence(self, standing: Standing) -> Says:
        if self.estimate is None:
            return "ok", f"{self.key('home')} goes back."
        mark, _ = verdict(self.estimate)
        plans = f"{self.key('plan')} plans for another GPU."
        left = outlook(self.estimate)
        if self.fixes:
            all_of_them = f", {self.key('apply_all')} all; the least harm is first" if len(self.fixes) > 1 else ""
            keys = f"{self.key('apply')} makes the chosen change{all_of_them}."
            return ("x", f"{left} {keys}") if left else ("!", keys)
        if any(finding.option for finding in self.estimate.findings):
            return mark, f"{left} What runs badly there is marked on Settings, where m mends it.".lstrip()
        if left:
            return "x", f"{left} {plans}"
        if self.estimate.gpu is None:
            return "ok", f"There is no GPU to hold it against. {plans}"
        if of_memory(self.estimate)[0] == "!":
            return "!", f"Nothing more leaves it more room. {plans}"
        return mark or "ok", f"Nothing has to be changed. {plans}"

    def _row(self, index: int) -> Text:
        fix = self.fixes[index]
        return line((f"-{gib(fix.saves_bytes):<{FIGURE_CELLS}}", ACCENT), (as_set(fix), PLAIN))

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_row(self, by: int) -> None:
        self.query_one(Listing).move(by)
        self.show_all()

    def on_listing_moved(self, event: Listing.Moved) -> None:
        self.show_all()

    def action_apply(self) -> None:
        if (fix := self.chosen) is not None:
            self.done(self.draft.set_values(fix.changes), f"{as_set(fix)} now.")

    def action_apply_all(self) -> None:
        changes = {name: value for fix in self.fixes for name, value in fix.changes.items()}
        if changes:
            self.done(self.draft.set_values(changes), f"{len(self.fixes)} changes were made; u takes them back.")

    def action_plan(self) -> None:
        from lora_tui.hardware import plan_for
        from lora_tui.screens.gpus import GpusScreen

        def answered(card: object) -> None:
            if card is None:
                return
            try:
                plan_for(card or None)  # type: ignore[arg-type]
            except UserError as error:
                self.say("x", str(error))
            self.wizard.look_again()

        self.app.push_screen(GpusScreen(), answered)

    def action_home(self) -> None:
        self.app.pop_screen()

    def action_go(self, step: StepName) -> None:
        self.app.pop_screen()
        if step != self.STEP:
            self.pages.go(step)

    def action_go_by(self, by: int) -> None:
        self.app.pop_screen()
        super().action_go_by(by)

    def offered(self, action: str) -> bool:
        if action == "apply":
            return bool(self.fixes)
        if action == "apply_all":
            return len(self.fixes) > 1
        if action == "undo":
            return self.draft.undoable
        return super().offered(action)


def bill_lines(found: Estimate, chosen: Fix | None, width: int, rows: int, roomy: bool) -> list[Text]:
    """The verdict, each part of the memory, the peaks of the parts of the work, the time, and the disk.

    rows: of the page. Where they are too few for all and the changes, what is told elsewhere too is told in short, and
    at last gives way: first the time, then what runs badly there.
    """

    def about_rows(fix: Fix) -> int:
        return max(2, min(len(_about(fix, width)), 99 if roomy else ABOUT_ROWS))

    here = about_rows(chosen) if chosen is not None else 2
    longest = max(map(about_rows, found.fixes), default=2)
    changes = (2 if roomy else bool(found.fixes)) + len(found.fixes)
    bill: list[Text] = []
    for warnings, time in (("whole", "whole"), ("whole", "brief"), ("brief", "brief"), ("brief", ""), ("", "")):
        bill = _bill(found, width, roomy, warnings, time)
        # Whole paragraphs do not come and go with the change that is chosen; a single row may.
        if len(bill) + changes + 1 + (longest if warnings == "whole" else here) <= rows:
            break
    return bill


def _bill(found: Estimate, width: int, roomy: bool, warnings: str, time: str) -> list[Text]:
    """warnings, time: "whole", "brief", or "" where there is no room for it."""
    _, words = verdict(found) if warnings == "whole" else of_memory(found)
    rows = [line((f" {part}", STRONG)) for part in textwrap.wrap(words, width)]
    if warnings == "brief" and (better := better_there(found)):
        rows.append(line((f" {better}", WARN)))
    rows += _as_bars(parts(found)) if roomy else _two_a_row(parts(found))
    steps = time_sentence(found, briefly=time == "brief") if time else ""
    disk = disk_sentence(found.disk, found.free_bytes) if found.disk is not None else ""
    for text in filter(None, (phases(found), steps, disk)):
        rows += [line((f" {part}", DIM)) for part in textwrap.wrap(text, width)]
    return rows


def _about(fix: Fix, width: int) -> list[Text]:
    """What a change sets, saves and costs."""
    why = f"{as_set(fix)} saves {gib(fix.saves_bytes)}. {fix.why}"
    return [line((f" {part}", PLAIN)) for part in textwrap.wrap(why, width)]


def _as_bars(shown: list[tuple[str, int]]) -> list[Text]:
    most = shown[0][1]
    return [
        line((f" {name:<{NAME_CELLS}}", DIM), (f"{gib(count):>{FIGURE_CELLS}}  ", PLAIN), *bar(count, most, BAR_CELLS))
        for name, count in shown
    ]


def _two_a_row(shown: list[tuple[str, int]]) -> list[Text]:
    cells = [(f" {name:<{NAME_CELLS}}{gib(count):>{FIGURE_CELLS}}    ", PLAIN) for name, count in shown]
    return [line(*cells[place : place + 2]) for place in range(0, len(cells), 2)]
