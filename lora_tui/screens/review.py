"""Everything on one page before it starts: what is ready, the arithmetic, the disk, what is worth a look."""

from __future__ import annotations

import contextlib
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
from engine.runs.lock import look
from lora_tui.aside import aside, or_error
from lora_tui.estimate_texts import brief
from lora_tui.expected_time import expected_pace, expected_words
from lora_tui.option_texts import typed_findings
from lora_tui.screens.found import finding_lines
from lora_tui.screens.memory import MEMORY_KEY, MemoryPage
from lora_tui.screens.sentences import Says
from lora_tui.screens.wizard_page import WizardPage
from lora_tui.starting import as_command, disk_sentence, fact, hindrance, launch, lora_name
from lora_tui.steps import STEPS, Standing, StepName
from lora_tui.survey import Survey
from lora_tui.tried import last_try
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import BAD, DIM, GOOD, PLAIN, STRONG, WARN, line

TICK_SECONDS = 1.0
_BESIDE = "Two trainings share the memory of the GPU, and one of them may run out of it."


class ReviewPage(WizardPage):
    """`s` starts the training, `y` tries five steps of it."""

    STEP: ClassVar[StepName] = "review"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "start", id="start", tooltip="Start the training. It goes on when you leave."),
        Binding(
            "y", "dry_run", "dry run", id="dry_run",
            tooltip=f"Do {DRY_RUN_STEPS} steps and stop: shows that all works, and how long it will take.",
        ),
        MEMORY_KEY,
        Binding("up", "scroll(-1)", "up", show=False, tooltip="Up and down this page."),
        Binding("down", "scroll(1)", "down", show=False, tooltip="Up and down this page."),
    ]  # fmt: skip

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self._starting = False
        self._tried = ""  # what a dry run has shown
        self._expected = ""  # how long it will take, as far as anything tells; where no dry run does
        self._tried_of: object = None  # and of what: it is shown for that alone

    def body(self) -> ComposeResult:
        with VerticalScroll(id="whole", can_focus=False):
            yield Lines(id="lines")

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        """A dry run may be at work, and end while somebody looks on."""
        if self.is_current:
            self._look_for_a_try()
            self.show_status()

    def update(self) -> None:
        survey = self.wizard.survey
        width = self.room - 4
        if gone := self.wizard.gone:  # what is known of it is no longer so
            text = f"{gone}. Put it back, or open it where it is now: Esc, then o."
            self.query_one("#lines", Lines).show([line((f" {part}", BAD)) for part in textwrap.wrap(text, width)])
            return
        rows = [*self._checklist(), *_memory(survey)]
        if survey is not None and survey.dataset is not None:
            rows += [line(), *_arithmetic(survey.dataset.steps, self.tried, self.expected, width)]
        if survey is not None:
            rows += [line(), *self._files(survey, width)]
            for finding in [*survey.blocking, *typed_findings(self.draft.typed), *survey.warnings]:
                rows += [line(), *finding_lines(finding, width)]
        self.query_one("#lines", Lines).show(rows)
        self._look_for_a_try()

    @property
    def tried(self) -> str:
        """What a dry run has shown of just this training; "" where none has."""
        return self._tried if self._tried_of == self._to_be_tried() else ""

    @property
    def expected(self) -> str:
        """How long it will take, roughly or as earlier runs did; "" where a dry run tells it better."""
        return self._expected if self._tried_of == self._to_be_tried() and not self._tried else ""

    @property
    def _training_on(self) -> bool:
        return self.wizard.standings()["training"].mark == "on"

    @property
    def _trying(self) -> bool:
        """Whether the newest dry run is at work."""
        run = self._newest_try
        return run is not None and look(run).status == "held"

    @property
    def _newest_try(self) -> RunFolder | None:
        return next((run for run in reversed(self.wizard.runs()) if self.wizard.kind(run) == "dry run"), None)

    def _to_be_tried(self) -> object:
        """Changes with all that `last_try` goes by: the project as it is, and how far the newest dry run is."""
        run, size = self._newest_try, 0
        with contextlib.suppress(OSError):
            size = run.events_path.stat().st_size if run is not None else 0
        return self.draft.edits, id(self.wizard.survey), run, size

    def _look_for_a_try(self) -> None:
        """Find out what dry runs have shown: in a thread, and only when that may have changed."""
        survey, project, of = self.wizard.survey, self.draft.project, self._to_be_tried()
        if not self.is_current or of == self._tried_of or survey is None or self.wizard.looking:
            return
        self._tried, self._expected, self._tried_of, settings = "", "", of, survey.settings
        base, dataset = survey.base, survey.dataset
        steps = dataset.steps.total if dataset is not None else None

        def look() -> tuple[str, str]:
            assert settings is not None
            tried = last_try(project, settings, steps)
            pace = expected_pace(project.path, settings, base, dataset) if steps and not tried else None
            return tried, expected_words(pace, steps) if pace is not None and steps else ""

        def found(told: tuple[str, str]) -> None:
            if any(told) and of == self._tried_of and self.is_attached:
                self._tried, self._expected = told
                self.show_all()

        if settings is not None:
            aside(look, found)

    def _checklist(self) -> list[Text]:
        rows = []
        standings = self.wizard.standings()
        for step in STEPS[:6]:
            stands = standings[step.name]
            sign, style = {"done": ("✓", GOOD), "attention": ("!", WARN), "todo": ("·", BAD)}[stands.mark]
            rows.append(
                line((f" {sign} ", style), (f"{step.title:<16}", STRONG), (fact(step.name, self.wizard), PLAIN))
            )
        return rows

    def action_memory(self) -> None:
        self.app.push_screen(MemoryPage(self.pages))

    def _files(self, survey: Survey, width: int) -> list[Text]:
        name = lora_name(self.draft)
        rows = [line((" The LoRA will be called ", DIM), (f"{inert(name)}.safetensors", STRONG))]
        if survey.disk is not None:
            disk = textwrap.wrap(disk_sentence(self.draft, survey.disk), width)
            rows += [line((f" {part}", DIM)) for part in disk]
        return [*rows, line((" As a command: ", DIM), (inert(as_command(self.draft)), PLAIN))]

    def sentence(self, standing: Standing) -> Says:
        survey = self.wizard.survey
        if self.wizard.gone:
            return "x", self.wizard.gone
        if survey is not None and survey.blocking:
            return "x", str(survey.blocking[0])
        if standing.mark != "done" and standing.missing:
            return "!", f"{standing.missing} {self.key('start')} starts without."
        if survey is not None and survey.warnings:
            worth = plural(len(survey.warnings), "thing")
            tries = "" if self.tried else f", {self.key('dry_run')} tries first"
            return "!", f"{worth} worth a look, below. {self.key('start')} starts{tries}."
        if self._training_on:
            return "!", f"A training is running. {self.key('start')} asks before it starts another beside it."
        if self._trying:
            start = self.key("start")
            return "ok", f"A dry run is at work; what it shows will stand here. {start} starts without waiting for it."
        tries = "" if self.tried else f", {self.key('dry_run')} tries {DRY_RUN_STEPS} steps first"
        return "ok", f"Ready. {self.key('start')} starts the training{tries}."

    def offered(self, action: str) -> bool:
        if action in ("start", "dry_run"):
            survey = self.wizard.survey
            found = hindrance(self.draft, survey) if survey is not None else None
            return not self.wizard.gone and (found is None or not found.final)
        return super().offered(action)

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_scroll(self, by: int) -> None:
        self.query_one("#whole", VerticalScroll).scroll_relative(y=2 * by, animate=False)

    def action_start(self) -> None:
        self._begin()

    def action_dry_run(self) -> None:
        if self._trying:
            self.say("!", "A dry run is at work already; what it shows will stand here.")
        else:
            self._begin(dry_run=DRY_RUN_STEPS)

    def _begin(self, **arguments: object) -> None:
        survey = self.wizard.survey
        if self._starting:
            return
        if gone := self.wizard.gone:
            self.say("x", gone)
            return
        if survey is None or self.wizard.looking:
            self.say("!", "The project is being checked; in a moment it can start.")
            return
        found = hindrance(self.draft, survey)
        if found is None and self._training_on:
            self._ask("A training of this project is running.", _BESIDE, arguments)
        elif found is None:
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

        no = "No, I wait" if why == _BESIDE else "No, I mend it first"
        choices = [Choice("", no, why), Choice("yes", "Train all the same")]
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


def _memory(survey: Survey | None) -> list[Text]:
    """Whether it fits; nothing for the practice model."""
    if survey is None or survey.estimate is None:
        return []
    mark, words = brief(survey.estimate)
    sign, style = {"ok": ("✓", GOOD), "!": ("!", WARN), "x": ("x", BAD)}.get(mark, ("·", DIM))
    return [line((f" {sign} ", style), (f"{'GPU memory':<16}", STRONG), (words, PLAIN))]


def _arithmetic(steps: Steps, tried: str, expected: str, width: int) -> list[Text]:
    """The length of the training, how long that takes as far as it was tried, and its reasons."""
    rows = [line((f" {steps.total:,} steps", STRONG))]
    rows += [line((f" {part}", GOOD)) for part in textwrap.wrap(tried, width)]
    rows += [line((f" {part}", PLAIN)) for part in textwrap.wrap(expected, width)]
    for sentence in steps.explanation.splitlines():
        rows += [line((f" {part}", DIM)) for part in textwrap.wrap(sentence, width)]
    return rows
