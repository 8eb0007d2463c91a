"""The step between starting and results: the project's trainings, and the way to each one's dashboard."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from engine.plan.errors import inert
from engine.runs.folder import RunFolder
from engine.runs.state import OVER, Observation, RunView, State
from lora_tui.screens.form_page import FormPage
from lora_tui.screens.sentences import SIGNS, Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Form, Row
from lora_tui.widgets.lines import Lines
from lora_tui.words import paragraph

RUNS_SHOWN = 30
_NEWEST = "newest"  # the place of somebody who has chosen no run


class TrainingPage(FormPage):
    """The runs, newest first; Enter opens the dashboard, from which Esc comes back here."""

    STEP: ClassVar[StepName] = "training"
    ENTER: ClassVar[dict[str, str]] = {"action": "open"}

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self._views: dict[RunFolder, RunView] = {}
        self._ends: dict[str, str] = {}  # by row, the engine's last words
        self._started = ""  # the row of a run that was started a moment ago, to be chosen
        self._newest = ""  # the row of the newest run: whoever is there stays at the newest
        self._newest_state: State | None = None
        self._opened = False  # a run was opened from here: what was chosen when the app was left is of no interest

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
        rows: list[Row] = []
        shown = [run for run in self.wizard.runs() if self.wizard.kind(run) != "other"]
        for run in reversed(shown[-RUNS_SHOWN:]):
            seen = self._views.setdefault(run, RunView(run)).refresh()
            if not rows:
                self._newest_state = seen.state
            end = seen.snapshot.end
            self._ends[str(run.path)] = inert(end.message) if end is not None else ""
            told = _told(seen, self.wizard.kind(run) == "dry run")
            rows.append(Row(str(run.path), inert(run.name), aside=told, kind="action"))
        if self.form.here == self._newest:
            self.form.here = ""
        self._newest = rows[0].key if rows else ""
        self.form.show(rows or [Row("none", self.wizard.gone or "No training has been started yet.", kind="note")])
        if self._started and any(row.key == self._started for row in rows):
            started, self._started = self._started, ""
            self.form.choose(started)
        text = "Each training is a program of its own and goes on when you leave."
        text += " Enter opens its dashboard." if rows else ""
        about = paragraph(self._ends.get(self.form.here, ""), self.about_room)
        self.query_one("#about", Lines).show([*about, *paragraph(text, self.about_room)])

    def sentence(self, standing: Standing) -> Says:
        if standing.mark == "done":
            return "ok", f"{self.key('enter')} opens the dashboard of a training."
        if standing.mark == "on":
            return "ok", f"{standing.missing} {self.key('enter')} opens its dashboard."
        if self.wizard.gone:
            return "x", self.wizard.gone
        if standing.mark == "attention":
            return "!", f"{standing.missing} {self.key('enter')} opens the dashboard of one, where r goes on."
        starts = f"{self.key('before')} goes back to Review, where s starts it."
        if self.form.row is None:
            return "x", f"{standing.missing} {starts}"
        if self._newest_state == "queued":
            return "ok", f"It waits until the queue comes to it. {self.key('enter')} opens its dashboard."
        if self._newest_state not in OVER:
            return "ok", f"A dry run is at work. {self.key('enter')} opens its dashboard."
        return ("ok" if self._newest_state == "finished" else "!"), f"Only tried so far. {starts}"

    @property
    def place(self) -> str:
        return _NEWEST if self.form.here == self._newest else super().place

    def go_to_place(self, place: str) -> None:
        if not self._opened:
            super().go_to_place(place)

    def offered(self, action: str) -> bool:
        return super().offered(action) and (action != "enter" or self.form.row is not None)

    def on_form_done(self, event: Form.Done) -> None:
        self.open(RunFolder(self.draft.path / "runs" / event.key.rpartition("/")[2]))

    def open(self, run: RunFolder) -> None:
        """Show a run's dashboard over this screen, on which it is the chosen one then."""
        self._started, self._opened = str(run.path), True
        from lora_tui.screens.dashboard import Dashboard

        self.app.push_screen(Dashboard(run))


def _told(seen: Observation, dry: bool) -> str:
    """How a run is, for its row."""
    sign, _ = SIGNS[seen.state]
    snapshot, words = seen.snapshot, ["dry run"] if dry else []
    if dry and seen.state == "finished" and snapshot.end is not None:
        words.append(inert(snapshot.end.message))
    elif not snapshot.step and seen.state in OVER:
        words.append("before its first step")
    else:
        words.append(f"step {snapshot.step:,} of {snapshot.total_steps:,}" if snapshot.total_steps else "no step yet")
        if snapshot.loss_avg is not None:
            words.append(f"loss {snapshot.loss_avg:.4f}")
    return "   ".join([f"{sign} {seen.state}", *words])
