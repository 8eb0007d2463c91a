"""The first screen: what runs now, the projects that were used lately, and how to begin."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.demo import DEFAULT_FOLDER
from engine.plan.errors import UserError, inert, plural
from engine.plan.files import absolute_path
from engine.runs.folder import RunFolder
from lora_tui.aside import aside
from lora_tui.folder_contents import tail
from lora_tui.job_kinds import STEPS, kind_in_words, state_in_words
from lora_tui.known_projects import Known, known_projects
from lora_tui.progress import at_work
from lora_tui.readable import at
from lora_tui.screens.asked import project_of
from lora_tui.screens.form_page import FORM_KEYS, candidates
from lora_tui.screens.page import Page
from lora_tui.screens.sentences import SIGNS
from lora_tui.screens.wizard_page import ROOMY_ROWS
from lora_tui.steps import StepName
from lora_tui.widgets.form import Form, Row, spaced
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, line
from lora_tui.widgets.path_input import PathInput
from lora_tui.widgets.status import Status
from lora_tui.wish import remember, remembered

PROJECTS_SHOWN = 12
TICK_SECONDS = 3.0


class Home(Page[None]):
    """Enter opens a project or attaches to a run. New projects, kohya folders and the demo begin here."""

    CSS_PATH = "wizard_page.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *FORM_KEYS,
        Binding("a", "new", "new project", id="new", tooltip="Make a new project."),
        Binding("o", "open", "open folder", id="open", tooltip="Open a project, or a folder made for kohya's scripts."),
        Binding("t", "demo", "try the demo", id="demo", tooltip="A small project with a practice model; needs no GPU."),
        Binding(
            "exclamation_mark",
            "app.machine",
            "check machine",
            id="machine",
            tooltip="This machine and terminal; the theme.",
        ),
        Binding("escape", "close_editor", "leave it", show=False),
    ]

    def __init__(self, project: Path | None = None) -> None:
        """`project`: to be opened at once, over this screen."""
        super().__init__()
        self._first = project
        self.known: list[Known] = []
        self._said: tuple[str, str] | None = None
        self._moved = False  # somebody has chosen a row

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        yield Form(id="form")
        yield Status(id="status")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        title = line((" lora-tui", STRONG), ("  train a LoRA for Stable Diffusion XL from a folder of pictures", DIM))
        what = " Everything is saved as you go. Leaving this program never stops a training."
        self.query_one("#header", Lines).show([title, line((what, DIM))])
        self._paint()
        self._look()
        self.set_interval(TICK_SECONDS, self._look)
        if self._first is not None:
            self._show(self._first)

    def on_screen_resume(self) -> None:
        self._said = None
        self._look()

    def _look(self) -> None:
        if self.is_active:
            aside(known_projects, self._found)

    def _found(self, known: list[Known]) -> None:
        # Under another screen this one may not change: Textual would paint over again what lies above.
        if known != self.known and self.is_attached and self.is_active:
            self.known = known
            self._paint()

    def _paint(self) -> None:
        form, now = self.query_one(Form), time.time()
        rows: list[Row] = []
        working = [project for project in self.known if project.at_work is not None]
        if working:
            rows.append(Row("h1", "Running now", kind="heading"))
        for project in working:
            assert project.at_work is not None
            run, seen = project.at_work
            sign, _ = SIGNS[seen.state]
            state = f"{sign} {state_in_words(run, seen.state)}  {kind_in_words(run)}: {at_work(seen)}"
            rows.append(Row(f"run {run.path}", inert(project.path.name), aside=state, kind="action"))
        rows.append(Row("h2", "Projects", kind="heading"))
        names = Counter(project.path.name for project in self.known)
        for project in self.known[:PROJECTS_SHOWN]:
            runs = plural(project.runs, "training") if project.runs else "not trained yet"
            when = at(project.changed, now) if project.changed else "no project.toml yet"
            where = f"in {tail(project.path.parent, 30)}, " if names[project.path.name] > 1 else ""
            name, facts = inert(project.path.name), f"{where}{runs}, {when}"
            rows.append(Row(f"project {project.path}", name, aside=facts, kind="action"))
        if not self.known:
            rows.append(Row("none", "none yet", kind="note"))
        rows += [
            Row("h3", "Begin", kind="heading"),
            Row("new", "New project", aside="from a folder of pictures", kind="action"),
            Row(
                "open",
                "Open a folder",
                aside="a project, or one made for kohya's scripts",
                kind="path",
                text="",
            ),
            Row("demo", "Try the demo", aside="a practice model and its pictures; no GPU, no download", kind="action"),
        ]
        if not self._moved:
            form.here = ""  # what came meanwhile comes first
        form.show(spaced(rows) if self.app.size.height >= ROOMY_ROWS else rows)
        self.query_one(Status).say(*(self._said or ("ok", self._advice())))
        self.show_hints()

    def _advice(self) -> str:
        if any(project.at_work for project in self.known):
            return "Enter opens what is chosen. What is running goes on by itself."
        return (
            "Enter opens what is chosen."
            if self.known
            else f"First time? {self.key('demo')} opens a small project, and there 7 and s train it."
        )

    def on_resize(self) -> None:
        self._paint()

    def typing_changed(self) -> None:
        self._paint()

    def label(self, binding: Binding) -> str:
        row = self.query_one(Form).row if binding.id == "enter" else None
        if row is None or row.kind != "action":
            return super().label(binding)
        return "open" if row.key.startswith(("run ", "project ")) else "do it"

    def say(self, mark: str, sentence: str) -> None:
        self._said = (mark, sentence)
        self.query_one(Status).say(mark, sentence)

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_row(self, by: int) -> None:
        self._said, self._moved = None, True
        self.query_one(Form).move(by)
        self._paint()

    def action_enter(self) -> None:
        self.query_one(Form).enter()

    def action_step_value(self, by: int) -> None:
        """Nothing here has values."""

    def action_close_editor(self) -> None:
        """Esc outside an editor does nothing: this is the first screen."""

    def action_new(self) -> None:
        from lora_tui.screens.new_project import NewProjectPage

        self.app.push_screen(NewProjectPage())

    def action_open(self) -> None:
        self._moved = True
        self.query_one(Form).edit("open", "")

    def action_demo(self) -> None:
        from engine.plan.demo import prepare

        try:
            project = prepare(Path.cwd() / DEFAULT_FOLDER)
        except UserError as error:
            self.say("x", str(error))
            return
        self._show(project.path)

    def on_form_done(self, event: Form.Done) -> None:
        what, _, path = event.key.partition(" ")
        if what == "run":
            self._show_run(RunFolder(Path(path)))
        elif what == "project":
            self._show(Path(path))
        elif what == "new":
            self.action_new()
        elif what == "demo":
            self.action_demo()

    def on_path_input_completed(self, event: PathInput.Completed) -> None:
        self.say(*candidates(event))

    def on_form_edited(self, event: Form.Edited) -> None:
        from lora_tui.paths import clean

        if (text := clean(event.text)) and not self._show(Path(text)):
            self.query_one(Form).edit("open", event.text)  # to be mended

    def _show_run(self, run: RunFolder) -> None:
        """A job beside training in the project's step that it belongs to, where the project can be opened."""
        from lora_tui.screens.job import screen_of

        step = STEPS.get(run.kind)
        if step is None or not self._show_at(project_of(run), step):
            self.app.push_screen(screen_of(run))

    def _show_at(self, project: Path, step: StepName) -> bool:
        """Open a project at a step, with what is at work there; whether that could be."""
        from lora_tui.screens.captions import CaptionsPage

        try:
            open_project = getattr(self.app, "open_project")  # noqa: B009 - an app of tests may have none
            open_project(project, step)
        except UserError:
            return False
        if isinstance(page := self.app.screen, CaptionsPage):
            page.action_captioning()
        return True

    def _show(self, path: Path) -> bool:
        """Open a project where it was left; whether that could be."""
        try:
            open_project = getattr(self.app, "open_project")  # noqa: B009 - an app of tests may have none
            open_project(path)
        except UserError as error:
            self.say("x", str(error))
            if error.code == "only-pictures":
                self._offer_a_project_of(path, error.message)
            return False
        return True

    def _offer_a_project_of(self, pictures: Path, why: str) -> None:
        from lora_tui.screens.dialogs import Choice, Question

        def chosen(answer: str | None) -> None:
            if answer:
                wish = remembered()
                wish.images = str(absolute_path(pictures))
                remember(wish)
                self.query_one(Form).close()
                self.action_new()

        choices = [Choice("", "No"), Choice("yes", "Make a new project of them")]
        self.app.push_screen(Question(why, choices), chosen)
