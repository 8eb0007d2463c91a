"""What all steps of the wizard have in common: where one is, how the steps stand, and the keys that go between them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.css.query import NoMatches

from engine.plan.errors import UserError, inert
from engine.plan.option import Option
from lora_tui.in_rows import in_rows
from lora_tui.screens.page import Page
from lora_tui.screens.sentences import Says
from lora_tui.steps import NOTHING_TRAINED, STEPS, Mark, Standing, StepName, findings_of, neighbour, number
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, GOOD, STRONG, WARN, Part, line
from lora_tui.widgets.status import Status

if TYPE_CHECKING:
    from lora_tui.draft import Draft
    from lora_tui.pages import Pages
    from lora_tui.wizard import Wizard

RAIL_COLUMNS = 96  # from here on the steps stand at the left; below, in one row at the top
RAIL_CELLS = 25
ROOMY_ROWS = 30  # from here on lines that only order things take nobody's place
HUGE_COLUMNS, HUGE_ROWS = 150, 45  # from here on a form's explanations stand at its right
PLACES = "places"  # what the chosen row of each step is kept as, beside the project
_SIGNS: dict[Mark, tuple[str, Style]] = {
    "done": ("✓", GOOD), "attention": ("!", WARN), "todo": ("·", DIM), "on": ("●", GOOD),
}  # fmt: skip

COUNT_CELLS = 4  # of the figures in the rail
WIZARD_KEYS: list[BindingType] = [
    Binding("n", "go_by(1)", "next", id="next", tooltip="The next step."),
    Binding("b", "go_by(-1)", "back", id="before", tooltip="The step before."),
    Binding("slash", "find", "find", id="find", tooltip="Find an option by its name or by what it does."),
    Binding("w", "warnings", "warnings", id="warnings", tooltip="Everything that was found, with its remedy."),
    *(
        Binding(str(place), f"go('{step.name}')", "step", show=False, tooltip="Go to a step.")
        for place, step in enumerate(STEPS, 1)
    ),
    Binding("u", "undo", "undo", show=False, id="undo", tooltip="Take back the last change of the project."),
    Binding("escape", "home", "home", show=False, id="home", tooltip="Back to the list of projects."),
]


class WizardPage(Page[None]):
    """The screen of one step. A subclass gives `STEP`, `body`, `update`, and what is to be said."""

    STEP: ClassVar[StepName]
    CSS_PATH = "wizard_page.tcss"
    BINDINGS: ClassVar[list[BindingType]] = WIZARD_KEYS

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self.pages = pages
        self._news: Says | None = None
        self._step_places: list[StepName] = []  # by cell of the row of steps, from the second on

    @property
    def wizard(self) -> Wizard:
        return self.pages.wizard

    @property
    def draft(self) -> Draft:
        return self.pages.wizard.draft

    @property
    def room(self) -> int:
        """Cells across for the step's own lines."""
        return max(30, self.app.size.width - (2 if self.has_class("-small") else RAIL_CELLS + 3))

    # ------------------------------------------------------------------------------------------ for subclasses
    def body(self) -> ComposeResult:
        """The widgets of this step."""
        raise NotImplementedError

    def update(self) -> None:
        """Show what is so now. Called whenever anything may have changed; what is the same costs nothing."""

    @property
    def while_typing(self) -> str:
        """What the line at the bottom says while something is typed."""
        return "Type, and take it with Enter; Esc leaves it as it was."

    def sentence(self, standing: Standing) -> Says:
        """How this step stands and what to do."""
        if standing.mark == "done":
            ready = self.wizard.standings()
            at_once = ready["review"].mark == "done" and ready["training"] == Standing("todo", NOTHING_TRAINED)
            also = f" All is ready: {number('review')} and then s trains it." if at_once else ""
            return "ok", f"This step is done; {self.key('next')} goes on.{also}"
        mark = {"attention": "!", "on": "ok"}.get(standing.mark, "x")
        survey = self.wizard.survey
        found = [finding for finding in findings_of(self.STEP, survey) if finding.level != "note"] if survey else []
        if len(found) > 1 and standing.missing == found[0].message:  # where the line of keys has no room for this one
            return mark, f"{standing.missing} {self.key('warnings')} lists all {len(found)}."
        return mark, standing.missing or "This step is still to be done."

    @property
    def place(self) -> str:
        """What is chosen on this screen, to be found again after the app was left; "" where nothing can be."""
        return ""

    def would_be_lost(self) -> str:
        """Save what is typed; what of it no disk takes, so that it would be gone if the app were left now, in words."""
        return ""

    def go_to_place(self, place: str) -> None:
        """Choose what was chosen then, if it is still there."""

    # ------------------------------------------------------------------------------------------------ the frame
    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        with Horizontal(id="across"):
            yield Lines(id="rail")
            with Container(id="content"):
                yield from self.body()
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self._arrange()
        self.show_all()
        if place := self.draft.beside.remembered(PLACES).get(self.STEP):
            self.call_after_refresh(self.go_to_place, str(place))

    def on_screen_suspend(self) -> None:
        self._news = None  # not on coming back: by then what was answered to a question may have told something
        self.keep_place()

    def keep_place(self) -> None:
        """Note down what is chosen here."""
        places = self.draft.beside.remembered(PLACES)
        with contextlib.suppress(NoMatches):
            if self.place and places.get(self.STEP) != self.place:
                self.draft.beside.remember(PLACES, {**places, self.STEP: self.place})

    def on_screen_resume(self) -> None:
        if self.draft.recovered:  # edits that waited for a broken file when the app was left
            changed = ", ".join(self.draft.recovered)
            self._news, self.draft.recovered = ("ok", f"Written now what waited since the last time: {changed}."), []
        self.call_after_refresh(self.show_all)

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self.call_after_refresh(self.show_all)

    def _arrange(self) -> None:
        width, height = self.app.size
        self.set_class(width < RAIL_COLUMNS, "-small")
        self.set_class(height >= ROOMY_ROWS, "-roomy")
        self.set_class(width >= HUGE_COLUMNS and height >= HUGE_ROWS, "-huge")

    def show_all(self) -> None:
        """Bring everything on the screen up to date."""
        try:
            standings = self.wizard.standings()
            self.query_one("#header", Lines).show(self._header(standings))
            self.query_one("#rail", Lines).show(self._rail(standings))
            self.update()
            self.show_status(standings[self.STEP])
            self.show_hints()
        except NoMatches:
            pass  # it is being built, or taken down

    def _header(self, standings: dict[StepName, Standing]) -> list[Text]:
        step = STEPS[number(self.STEP) - 1]
        name = inert(self.draft.project.name, 60)
        where = f"{number(self.STEP)} of {len(STEPS)}"
        first = line((f" {name}", STRONG), (f"  {where}  ", DIM), (step.title, ACCENT), (f"  {step.asks}", DIM))
        if not self.has_class("-small"):
            return [first, line((f" {inert(self.draft.path)}", DIM))]
        steps, self._step_places = line(" "), []
        for place, other in enumerate(STEPS, 1):
            here = other.name == self.STEP
            mark, style = _SIGNS[standings[other.name].mark]
            begin = steps.cell_len
            steps.append_text(line((f"{place}", STRONG if here else DIM), (mark, style)))
            steps.append_text(line((f"{other.title}  " if here else " ", STRONG if here else DIM)))
            self._step_places += [other.name] * (steps.cell_len - begin)
        return [first, steps]

    def _rail(self, standings: dict[StepName, Standing]) -> list[Text]:
        rows = []
        for place, step in enumerate(STEPS, 1):
            here, stands = step.name == self.STEP, standings[step.name]
            mark, style = _SIGNS[stands.mark]
            title = f"{step.title:<15}"
            parts: list[Part] = [("▸" if here else " ", ACCENT), (f"{place} ", DIM), (mark, style), " "]
            parts += [(title, STRONG if here else DIM), (f"{_short(stands.count):>{COUNT_CELLS}}", DIM)]
            rows.append(line(*parts))
        return rows

    def show_status(self, standing: Standing | None = None) -> None:
        """The line at the bottom: news, trouble with the file, or how the step stands."""
        status = self.query_one(Status)
        trouble = self.draft.trouble_words
        if trouble and not (self._news is not None and self._news[0] == "x"):  # what was just refused comes first
            status.say("x", trouble)
        elif self._news is not None:
            status.say(*self._news)
        elif self.typing:
            status.say("ok", self.while_typing)
        elif self.wizard.looked:
            status.say("ok", f"{self.wizard.looked}…")
        else:
            status.say(*self.sentence(standing or self.wizard.standings()[self.STEP]))

    def typing_changed(self) -> None:
        self.show_all()

    def say(self, mark: str, sentence: str) -> None:
        """News, in place of how things stand, until something else is done."""
        self._news = (mark, sentence)
        self.show_status()

    def done(self, trouble: UserError | None, said: str = "") -> None:
        """After an edit: what went wrong, or what was done; and everything is checked anew."""
        if trouble is not None and trouble is not self.draft.trouble:
            self._news = ("x", in_rows(str(trouble)))
        else:
            self._news = ("ok", said) if said else None
        self.wizard.edited(trouble)
        self.show_all()

    def on_click(self, event: events.Click) -> None:
        """A click on a step goes there."""
        rail, header = self.query_one("#rail").content_region, self.query_one("#header").region
        if rail.contains(event.screen_x, event.screen_y) and (row := event.screen_y - rail.y) < len(STEPS):
            self.action_go(STEPS[row].name)
        elif self.has_class("-small") and event.screen_y == header.y + 1:
            cell = event.screen_x - header.x - 1
            if 0 <= cell < len(self._step_places):
                self.action_go(self._step_places[cell])

    # ------------------------------------------------------------------------------------------------------ keys
    def action_go_by(self, by: int) -> None:
        self.pages.go(neighbour(self.STEP, by))

    def action_go(self, step: StepName) -> None:
        self.pages.go(step)

    def action_home(self) -> None:
        from lora_tui.screens.home import Home

        if any(isinstance(screen, Home) for screen in self.app.screen_stack):
            self.app.pop_screen()
        else:
            self.app.switch_screen(Home())

    def action_warnings(self) -> None:
        from lora_tui.screens.found import FoundScreen

        self.app.push_screen(FoundScreen(self.pages))

    def action_undo(self) -> None:
        if self.draft.undoable:
            what, trouble = self.draft.undo()
            self.done(trouble, f"Taken back: {what}.")
        else:
            self.say("ok", "There is nothing to take back.")

    def action_find(self) -> None:
        from lora_tui.screens.palette import find_option

        find_option(self.app, self.pages)

    def find(self, option: Option) -> None:
        """Show an option on the settings' screen."""
        from lora_tui.screens.settings import SettingsPage

        page = self.pages.page("settings")
        self.pages.go("settings")
        if isinstance(page, SettingsPage):
            page.show_option(option)

    def offered(self, action: str) -> bool:
        if action == "warnings":
            survey = self.wizard.survey
            found = survey is not None and bool(survey.blocking or survey.warnings)
            return found or bool(self.draft.trouble_words)
        return True


def _short(count: str) -> str:
    """A count in four cells: 10,000 is 10k."""
    return count if len(count) <= COUNT_CELLS else f"{int(count) // 1000}k"
