"""Everything on one page before it starts: what is ready, the arithmetic, the disk, what is worth a look."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from engine.plan.errors import UserError, inert, plural
from engine.plan.steps import Steps
from engine.runs.folder import RunFolder
from engine.runs.job import DRY_RUN_STEPS
from lora_tui.aside import aside, or_error
from lora_tui.option_texts import typed_findings
from lora_tui.screens.found import finding_lines
from lora_tui.screens.sentences import Says
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.starting import as_command, disk_sentence, fact, hindrance, launch, lora_name
from lora_tui.steps import STEPS, Standing, StepName
from lora_tui.survey import Survey
from lora_tui.tried import last_try
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import BAD, DIM, GOOD, PLAIN, STRONG, WARN, line


class ReviewPage(WizardPage):
    """`s` starts the training, `y` tries five steps of it."""

    STEP: ClassVar[StepName] = "review"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "start", id="start", tooltip="Start the training. It goes on when you leave."),
        Binding(
            "y", "dry_run", "dry run", id="dry_run",
            tooltip=f"Do {DRY_RUN_STEPS} steps and stop: shows that all works, and how long it will take.",
        ),
        Binding("up", "scroll(-1)", "up", show=False, tooltip="Up and down this page."),
        Binding("down", "scroll(1)", "down", show=False, tooltip="Up and down this page."),
    ]  # fmt: skip

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self._starting = False
        self._tried = ""
        self._tried_at = -1  # the count of edits when that was looked up

    def body(self) -> ComposeResult:
        with VerticalScroll(id="whole", can_focus=False):
            yield Lines(id="lines")

    def update(self) -> None:
        survey = self.wizard.survey
        width = self.room - 4
        rows = self._checklist()
        if survey is not None and survey.dataset is not None:
            rows += [line(), *_arithmetic(survey.dataset.steps, width)]
        if survey is not None:
            rows += [line(), *self._files(survey)]
            rows += [line((f" {part}", GOOD)) for part in textwrap.wrap(self._tried, width)]
            for finding in [*survey.blocking, *typed_findings(self.draft.typed), *survey.warnings]:
                rows += [line(), *finding_lines(finding, width)]
        self.query_one("#lines", Lines).show(rows)
        self._look_for_a_try()

    def on_screen_resume(self) -> None:
        self._tried_at = -1  # a dry run may have ended meanwhile
        super().on_screen_resume()

    def _look_for_a_try(self) -> None:
        """Find out what the last dry run has shown, again after each edit."""
        survey, project, edits = self.wizard.survey, self.draft.project, self.draft.edits
        if self._tried_at == edits or survey is None or survey.settings is None or self.wizard.looking:
            return
        self._tried_at, settings = edits, survey.settings

        def found(tried: str) -> None:
            if tried != self._tried and self.is_attached:
                self._tried = tried
                self.show_all()

        aside(lambda: last_try(project, settings), found)

    def _checklist(self) -> list[Text]:
        rows = []
        standings = self.wizard.standings()
        for step in STEPS[:6]:
            stands = standings[step.name]
            sign, style = {"done": ("✓", GOOD), "attention": ("!", WARN), "todo": ("x", BAD)}[stands.mark]
            rows.append(
                line((f" {sign} ", style), (f"{step.title:<16}", STRONG), (fact(step.name, self.wizard), PLAIN))
            )
        return rows

    def _files(self, survey: Survey) -> list[Text]:
        name = lora_name(self.draft)
        rows = [line((" The LoRA will be called ", DIM), (f"{inert(name)}.safetensors", STRONG))]
        if survey.disk is not None:
            rows.append(line((f" {disk_sentence(self.draft, survey.disk)}", DIM)))
        return [*rows, line((" As a command: ", DIM), (inert(as_command(self.draft)), PLAIN))]

    def sentence(self, standing: Standing) -> Says:
        survey = self.wizard.survey
        if survey is not None and survey.blocking:
            return "x", str(survey.blocking[0])
        if standing.mark != "done" and standing.missing:
            return "!", f"{standing.missing} {self.key('start')} starts without."
        if survey is not None and survey.warnings:
            worth = plural(len(survey.warnings), "thing")
            return "!", f"{worth} worth a look, below. {self.key('start')} starts, {self.key('dry_run')} tries first."
        tries = "" if self._tried else f", {self.key('dry_run')} tries {DRY_RUN_STEPS} steps first"
        return "ok", f"Ready. {self.key('start')} starts the training{tries}."

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_scroll(self, by: int) -> None:
        self.query_one("#whole", VerticalScroll).scroll_relative(y=2 * by, animate=False)

    def action_start(self) -> None:
        self._begin()

    def action_dry_run(self) -> None:
        self._begin(dry_run=DRY_RUN_STEPS)

    def _begin(self, **arguments: object) -> None:
        survey = self.wizard.survey
        if self._starting:
            return
        if survey is None or self.wizard.looking:
            self.say("!", "The project is being checked; in a moment it can start.")
            return
        found = hindrance(self.draft, survey)
        if found is None:
            self._launch(arguments)
        elif found.final:
            self.say("x", found.why)
        else:
            self._ask(found.title, found.why, arguments)

    def _ask(self, title: str, why: str, arguments: dict[str, object]) -> None:
        from lora_tui.screens.dialogs import Choice, Question

        def chosen(answer: str | None) -> None:
            if answer:
                self._launch(arguments)

        choices = [Choice("", "No, I mend it first", why), Choice("yes", "Train all the same")]
        self.app.push_screen(Question(title, choices), chosen)

    def _launch(self, arguments: dict[str, object]) -> None:
        self._starting = True
        self.say("ok", "Starting the engine…")
        draft = self.draft

        def work() -> RunFolder:
            return launch(draft, **arguments)

        aside(lambda: or_error(work, "The engine could not be started"), self._launched)

    def _launched(self, run: RunFolder | UserError) -> None:
        from lora_tui.screens.training import TrainingPage

        self._starting = False
        if isinstance(run, UserError):
            self.say("x", str(run))
            return
        self.pages.go("training")
        page = self.pages.page("training")
        if isinstance(page, TrainingPage):
            page.open(run)


def _arithmetic(steps: Steps, width: int) -> list[Text]:
    """The length of the training with its reasons."""
    rows = [line((f" {steps.total:,} steps", STRONG))]
    for sentence in steps.explanation.splitlines():
        rows += [line((f" {part}", DIM)) for part in textwrap.wrap(sentence, width)]
    return rows
