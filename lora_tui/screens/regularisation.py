"""Regularisation pictures: how many and why, and the ways to have them: made here, taken over, fetched, or without."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from engine.plan.errors import UserError
from engine.plan.job_options import JobTable, job_options
from engine.plan.preservation_checks import OPTION as PRESERVES
from engine.plan.regularisation import Need
from engine.plan.trash import throw_away
from engine.runs.folder import RunFolder
from engine.runs.job import Job
from engine.runs.state import Observation, RunView
from lora_tui import reg_words
from lora_tui.aside import aside, or_error
from lora_tui.job_edits import change_of, complaint, value_of
from lora_tui.job_runs import ask_to_stop
from lora_tui.option_texts import shown_value, stepped, typed_value
from lora_tui.project_edits import left_out_no_more, left_out_too
from lora_tui.regularising import (
    Outlook,
    begin_captions_of,
    fetch_job,
    how_over,
    launch,
    make_job,
    outlook,
    usual_value,
)
from lora_tui.regularising import at_work as run_at_work
from lora_tui.screens.class_question import ask_class
from lora_tui.screens.dialogs import Choice, Question
from lora_tui.screens.form_page import FORM_KEYS, ROW_KINDS, FormPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName, number
from lora_tui.widgets.form import Form, Row
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, line
from lora_tui.widgets.picture import Picture
from lora_tui.words import paragraph

TABLE: JobTable = "regularising"
LOOK_SECONDS = 0.5
PREVIEW_ROWS = 36  # from here on there is room for a picture below the rows


class RegularisationPage(FormPage):
    """The work goes on in an engine of its own when the screen or the app is left, and is found again."""

    STEP: ClassVar[StepName] = "regularisation"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "stop", id="stop", tooltip="Stop making or fetching pictures; what is there stays."),
        Binding("v", "look_through", "look through", id="look_through", tooltip="See each picture; leave some out."),
        Binding("a", "add", "from a folder", id="add", tooltip="Take regularisation pictures over from a folder."),
        Binding("f", "browse", "browse", id="browse", tooltip="Look for a folder of pictures on this machine."),
        Binding("p", "preserve", "hold the class", id="preserve", tooltip="Without pictures: hold the class, or not."),
        Binding("d", "usual", "default", id="usual", tooltip="Back to the usual value of this row."),
        *FORM_KEYS,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self.hub = str(self.draft.beside.remembered(TABLE).get("hub", ""))
        self._view: RunView | None = None
        self._seen: Observation | None = None
        self._last: Path | None = None  # the picture that was made last
        self._outlook: Outlook | UserError | None = None
        self._here = reg_words.NOT_KNOWN
        self._looked_at: object = None  # what these were worked out from

    def body(self) -> ComposeResult:
        yield Lines(id="summary")
        yield Form(id="form")
        with Horizontal(id="band"):
            yield Lines(id="about")
            with Vertical(id="preview"):
                yield Picture(id="picture")

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(LOOK_SECONDS, self._look)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        project = self.draft.path
        if self._view is None:
            aside(lambda: or_error(partial(run_at_work, project), "The runs could not be read"), self._found)

    def _found(self, run: RunFolder | UserError | None) -> None:
        """One that was started before, or by somebody else."""
        if isinstance(run, RunFolder) and self._view is None and self.is_attached:
            self._view = RunView(run)  # the next look shows it

    # -------------------------------------------------------------------------------------------------------- showing
    def update(self) -> None:
        self._work_out()
        self.query_one("#summary", Lines).show(self._summary())
        self.show_rows(self._rows())
        self.query_one("#about", Lines).show(self._about())
        preview = self.query_one("#preview")
        preview.display = self._previews
        self.query_one("#picture", Picture).show_path(self._picture() if preview.display else None)

    def _work_out(self) -> None:
        """The outlook, anew only when something has changed that it depends on."""
        survey = self.wizard.survey
        now = (survey, self.draft.edits, self._view is None)
        if now == self._looked_at:
            return
        self._looked_at, self._outlook, self._here = now, None, reg_words.NOT_KNOWN
        if survey is not None and survey.dataset is not None:
            self._here = reg_words.pictures_here(survey.dataset, self.draft.project)
        if survey is not None and survey.dataset is not None and survey.settings is not None:
            project, settings, dataset, base = self.draft.project, survey.settings, survey.dataset, survey.base
            work = partial(outlook, project, settings, dataset, base)
            self._outlook = or_error(work, "What is needed could not be worked out")

    @property
    def _known(self) -> Outlook | None:
        return self._outlook if isinstance(self._outlook, Outlook) else None

    @property
    def _needs(self) -> tuple[Need, ...]:
        return self._known.needs if self._known is not None else ()

    def _picture(self) -> Path | None:
        there = self._here.all
        return self._last or (there[-1] if there else None)

    @property
    def about_room(self) -> int:
        return self.room // 2 - 2 if self._previews else self.room

    @property
    def _previews(self) -> bool:
        return self.app.size.height >= PREVIEW_ROWS and self._picture() is not None

    def _summary(self) -> list[Text]:
        rows = reg_words.of_needs(self._needs, self.draft.project, self.room, self.has_class("-roomy"))
        if isinstance(self._outlook, UserError):
            rows += paragraph(str(self._outlook), self.room)
        if self._seen is not None:
            rows += reg_words.under_way(self._seen)
        rows = rows or [line((" How many are needed is not known yet.", DIM))]
        return [*rows, line()] if self.has_class("-roomy") else rows

    def _rows(self) -> list[Row]:
        preserved = bool(self.draft.value(PRESERVES))
        working, model = self._view is not None, number("model") if self._base_missing else 0
        known, project = self._known, self.draft.project
        rows = reg_words.as_rows(
            known, project, self.hub, preserved=preserved, working=working, model=model, here=self._here
        )
        rows.append(Row("h2", "How they are made", kind="heading"))
        options = self._known.options if self._known is not None else None
        for name, option in job_options(TABLE).items():
            value = getattr(options, name) if options is not None else option.default
            changed = name in self.draft.project.regularising
            shown = shown_value(option, value)
            if name == "resolution" and not value:
                size = self._known.picture_size if self._known is not None else None
                shown = f"{size[0]},{size[1]}, as trained" if size else "as trained"
            rows.append(
                Row(
                    name,
                    option.title,
                    shown,
                    text=typed_value(option, value),
                    aside="changed" if changed else "",
                    changed=changed,
                    kind=ROW_KINDS.get(option.kind, "text"),
                )
            )
        return rows

    @property
    def _base_missing(self) -> bool:
        return self.wizard.survey is None or self.wizard.survey.base is None

    def _about(self) -> list[Text]:
        return reg_words.about_row(self.form.here, self._known, self._here, self.about_room)

    def sentence(self, standing: Standing) -> Says:
        if self._view is not None:
            return "ok", f"It goes on by itself; {self.key('stop')} stops it, and what is there stays."
        if standing.mark == "done" and not self._here.all:
            return "ok", f"You may do without: {self.key('next')} goes on. Enter on the first row makes some."
        return super().sentence(standing)

    # ---------------------------------------------------------------------------------------------------- the work
    def _look(self) -> None:
        """Follow what is under way."""
        if self._view is None:
            return
        seen = self._seen = self._view.refresh()
        if seen.snapshot.samples:
            self._last = self._view.run.absolute(seen.snapshot.samples[-1].path)
        if seen.over:
            run, self._view, self._seen = self._view.run, None, None
            self._news = how_over(run, seen)
            if seen.state == "finished":
                self._describe(run)
            self.wizard.look_again()
        if self.is_current:
            self.show_all()

    def _describe(self, run: RunFolder) -> None:
        """Automatic captions, now that the pictures are there."""
        survey, project = self.wizard.survey, self.draft.project
        if survey is None or survey.settings is None:
            return
        work = partial(begin_captions_of, project, survey.settings, run)
        aside(lambda: or_error(work, "The captions could not be begun"), self._describing)

    def _describing(self, run: RunFolder | UserError | None) -> None:
        if isinstance(run, UserError):
            self.say("x", f"The pictures are made. {run}")
        elif run is not None:
            self.say("ok", f"The pictures are made, and their captions are being written: step {number('captions')}.")

    def _make(self) -> None:
        known, survey = self._known, self.wizard.survey
        if self._view is not None:
            self.action_stop()
        elif known is None or survey is None or survey.settings is None:
            self.say("x", str(self._outlook) if isinstance(self._outlook, UserError) else "It is not known yet.")
        elif self._base_missing:
            self.say("x", f"They are drawn with the base model: step {number('model')} chooses one.")
        elif known.too_large:
            choices = [Choice("", "Leave it"), Choice("all", "Make as many as there is room for")]
            title = f"There is not enough room on the disk: {known.in_words()}."
            work = partial(make_job, self.draft.project, survey.settings, known)
            self.app.push_screen(Question(title, choices), lambda how: self._start(work) if how else None)
        else:
            self._start(partial(make_job, self.draft.project, survey.settings, known))

    def _start(self, job: partial[Job]) -> None:
        project = self.draft.project
        self.say("ok", "Starting the engine…")
        aside(lambda: or_error(lambda: launch(project, job()), "The engine could not be started"), self._started)

    def _started(self, run: RunFolder | UserError) -> None:
        if isinstance(run, UserError):
            self.say("ok" if run.code == "nothing-missing" else "x", str(run))
            return
        self._news, self._last = None, None
        self._view = RunView(run)
        self._look()

    def action_stop(self) -> None:
        if self._view is not None:
            self.say(*ask_to_stop(self._view.run, "Asked the engine to stop; what is there stays."))

    # ------------------------------------------------------------------------------------------------------- the ways
    def action_look_through(self, then: str = "") -> None:
        from lora_tui.screens.regularisation_pictures import RegularisationPictures

        page = RegularisationPictures(self.pages)
        self.app.push_screen(page)
        if then:
            page.call_after_refresh(getattr(page, then))

    def action_add(self) -> None:
        self.action_look_through("action_add")

    def action_browse(self) -> None:
        self.action_look_through("action_browse")

    def action_preserve(self) -> None:
        on = not self.draft.value(PRESERVES)
        said = "The class is held without pictures; each step takes about two and a half times as long." if on else ""
        self.done(
            self.draft.set_value(PRESERVES, 1.0 if on else 0.0), f"{said} {self.key('undo')} takes it back.".strip()
        )

    def _do_without(self) -> None:
        """Leave out all that are used, in one edit, as Space does with one of them; or go on where none are."""
        if not self._here.used:
            self.action_go_by(1)
            return
        if self._view is not None:
            self.say("!", f"More are being made or fetched: {self.key('stop')} stops that first.")
            return
        used = self._here.used
        trouble = self.draft.edit(left_out_too(used))
        self.done(trouble, reg_words.told_left_out(len(used), self.key("undo"), self.key("next")))

    def _take_back(self) -> None:
        back = self._here.left_out
        self.form.choose("without")  # this row goes, and the first one begins work
        trouble = self.draft.edit(left_out_no_more(back))
        self.done(trouble, reg_words.told_taken_back(len(back), self.key("undo")))

    def _remove(self) -> None:
        there = self._here.all
        ours = reg_words.made_here(there)
        choices = [Choice("", "Leave them")]
        if ours and len(ours) < len(there):
            choices.append(Choice("ours", f"Those that were made here: {len(ours):,}"))
        choices.append(Choice("all", f"All {len(there):,}"))

        def chosen(which: str | None) -> None:
            if which:
                paths = ours if which == "ours" else there
                work = partial(throw_away, self.draft.project, paths)
                aside(lambda: or_error(work, "They could not be moved"), self._removed)

        self.app.push_screen(Question("Move regularisation pictures to the project's trash?", choices), chosen)

    def _removed(self, count: int | UserError) -> None:
        self._last = None
        if isinstance(count, UserError):
            self.say("x", str(count))
        else:
            self.say("ok", f"{count:,} moved to .lora-tui/trash in the project.")
        self.wizard.look_again()

    # ------------------------------------------------------------------------------------------------------ the form
    def on_form_done(self, event: Form.Done) -> None:
        ways = {
            "make": self._make,
            "folder": self.action_add,
            "preserve": self.action_preserve,
            "without": self._do_without,
            "back": self._take_back,
            "remove": self._remove,
        }
        if event.key in ways:
            ways[event.key]()
        else:
            self.on_form_stepped(Form.Stepped(event.key, 1))

    def on_form_stepped(self, event: Form.Stepped) -> None:
        if event.key == "preserve":
            self.action_preserve()
        elif self._known is not None and event.key in job_options(TABLE):
            option = job_options(TABLE)[event.key]
            self._set(event.key, stepped(option, getattr(self._known.options, event.key), event.by))

    def on_form_typing(self, event: Form.Typing) -> None:
        if event.key in job_options(TABLE):
            said = complaint(TABLE, event.key, event.text)
            self.say("x" if said else "ok", said or "Enter takes it; Esc leaves it as it was.")
        else:
            super().on_form_typing(event)

    def on_form_edited(self, event: Form.Edited) -> None:
        if event.key == "hub":
            self._fetch(event.text.strip())
            return
        try:
            value = value_of(TABLE, event.key, event.text)
        except UserError as error:
            self.to_be_mended(event.key, event.text, str(error))
            return
        self._set(event.key, value)

    def _set(self, name: str, value: object) -> None:
        self.done(self.draft.edit(change_of(TABLE, name, value, self._usual(name))))

    def _usual(self, name: str) -> object:
        return usual_value(name, self.wizard.survey.base if self.wizard.survey is not None else None)

    def _fetch(self, what: str) -> None:
        self.hub = what
        self.draft.beside.remember(TABLE, {"hub": what})
        known = self._known
        if not what or known is None:
            self.show_all()
            return
        try:
            fetch_job(self.draft.project, what, known)
        except UserError as error:
            self.to_be_mended("hub", what, str(error))
            return
        project = self.draft.project
        ask_class(self.app, project, lambda which: self._start(partial(fetch_job, project, what, known, which)))

    def action_usual(self) -> None:
        if self.form.here in job_options(TABLE):
            self._set(self.form.here, self._usual(self.form.here))

    def offered(self, action: str) -> bool:
        if action == "stop":
            return self._view is not None
        if action == "look_through":
            return bool(self._here.all)
        if action == "usual":
            return self.is_mounted and self.form.here in self.draft.project.regularising
        return super().offered(action)
