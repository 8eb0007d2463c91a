"""The step between starting and results: the project's trainings, and the way to each one's dashboard."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from engine.plan.errors import inert
from engine.runs.folder import RunFolder
from engine.runs.state import RunView
from lora_tui.screens.form_page import FormPage
from lora_tui.screens.sentences import SIGNS, Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Form, Row
from lora_tui.widgets.lines import Lines
from lora_tui.words import paragraph

RUNS_SHOWN = 30


class TrainingPage(FormPage):
    """The runs, newest first; Enter opens the dashboard, from which Esc comes back here."""

    STEP: ClassVar[StepName] = "training"
    ENTER: ClassVar[dict[str, str]] = {"action": "open"}

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self._views: dict[RunFolder, RunView] = {}
        self._ends: dict[str, str] = {}  # by row, the engine's last words
        self._started = ""  # the row of a run that was started a moment ago, to be chosen

    def body(self) -> ComposeResult:
        yield Form(id="form")
        yield Lines(id="about")

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(1.0, self._tick)

    def _tick(self) -> None:
        if self.is_current:
            self.show_all()

    def update(self) -> None:
        rows = []
        shown = [run for run in self.wizard.runs() if self.wizard.kind(run) != "other"]
        for run in reversed(shown[-RUNS_SHOWN:]):
            seen = self._views.setdefault(run, RunView(run)).refresh()
            sign, _ = SIGNS[seen.state]
            snapshot = seen.snapshot
            dry = self.wizard.kind(run) == "dry run"
            steps = f"step {snapshot.step:,} of {snapshot.total_steps:,}" if snapshot.total_steps else "no step yet"
            told = f"{'dry run, ' if dry else ''}{steps}"
            if dry and seen.state == "finished" and snapshot.end is not None:
                told = f"dry run   {inert(snapshot.end.message)}"
            elif snapshot.loss_avg is not None:
                told += f"   loss {snapshot.loss_avg:.4f}"
            self._ends[str(run.path)] = inert(snapshot.end.message) if snapshot.end is not None else ""
            rows.append(Row(str(run.path), inert(run.name), aside=f"{sign} {seen.state}   {told}", kind="action"))
        there = self.draft.path.is_dir()
        none = "No training has been started yet." if there else "The project's folder is not there any more."
        if self._started and any(row.key == self._started for row in rows):
            self.form.here, self._started = self._started, ""
        self.form.show(rows or [Row("none", none, kind="note")])
        text = "Each training is a program of its own and goes on when you leave. Enter opens its dashboard."
        about = paragraph(self._ends.get(self.form.here, ""), self.about_room)
        self.query_one("#about", Lines).show([*about, *paragraph(text, self.about_room)])

    def sentence(self, standing: Standing) -> Says:
        if standing.mark == "done":
            return "ok", f"{self.key('enter')} opens the dashboard of a training."
        if standing.count:  # one is at work
            return "ok", f"{standing.missing} {self.key('enter')} opens its dashboard."
        begun = "Only tried so far." if self.form.row is not None else standing.missing
        return "x", f"{begun} {self.key('before')} goes back to Review, where s starts it."

    def on_form_done(self, event: Form.Done) -> None:
        self.open(RunFolder(self.draft.path / "runs" / event.key.rpartition("/")[2]))

    def open(self, run: RunFolder) -> None:
        """Show a run's dashboard over this screen, on which it is the chosen one then."""
        self._started = str(run.path)
        from lora_tui.screens.dashboard import Dashboard

        self.app.push_screen(Dashboard(run))
