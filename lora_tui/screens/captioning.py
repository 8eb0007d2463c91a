"""Automatic captions: what is to write them and how, then each as it comes. Over the step of the captions.

The engine writes them in a run of its own, so leaving the screen, or the app, does not end it: whoever comes back sees
it go on.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.errors import UserError
from engine.plan.job_options import job_options
from engine.runs.captions import DoneReader
from engine.runs.folder import RunFolder
from engine.runs.state import Observation, RunView
from lora_tui import captioning
from lora_tui.aside import aside, or_error
from lora_tui.captioning import Outlook
from lora_tui.job_runs import ask_to_stop
from lora_tui.option_texts import stepped
from lora_tui.progress import at_work
from lora_tui.screens.captioner_download import CaptionerDownload
from lora_tui.screens.captioning_options import CaptioningOptionsPage
from lora_tui.screens.captions import CaptionsPage
from lora_tui.screens.form_page import FORM_KEYS
from lora_tui.screens.sentences import Says
from lora_tui.screens.written import caption_rows
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Form
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, PLAIN, bar, line

TICK_SECONDS = 0.5
BAR_CELLS = 24
SPARE_ROWS = 6  # what the frame takes beside the captions that are listed


class CaptioningScreen(CaptioningOptionsPage):
    """A row for each option; `s` starts, `x` stops. While it works the newest captions stand in the form's place."""

    STEP: ClassVar[StepName] = "captions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "begin", "start", id="begin", tooltip="Have the captions written."),
        Binding("x", "stop", "stop", id="stop", tooltip="Stop writing; what is written stays."),
        Binding("o", "options", "options", id="options", tooltip="Back from the captions to the options."),
        Binding("m", "more", "more options", id="more", tooltip="Show the options that seldom matter, or hide them."),
        Binding("d", "usual", "default", id="usual", tooltip="Back to the usual value of this row."),
        Binding(
            "u",
            "undo",
            "undo",
            show=False,
            id="undo",
            tooltip="Take back the captions that were written, or an option.",
        ),
        Binding("escape", "home", "captions", id="home", tooltip="Back to the captions; what is at work goes on."),
        *FORM_KEYS,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._view: RunView | None = None  # of what is being written
        self._done: DoneReader | None = None  # of that, or of what was written last here
        self._seen: Observation | None = None
        self._ended: Says | None = None
        self._older = self.draft.undoable_edits  # those that are older than what was written here
        self._starting = False
        self._half_typed: tuple[str, str] | None = None  # (row, text) while the captions stand in the form's place
        self._download = CaptionerDownload(self, lambda _: self._come(), lambda: None)

    def body(self) -> ComposeResult:
        yield Lines(id="progress")
        yield Lines(id="newest")
        yield Form(id="form")
        yield Lines(id="about")

    def on_mount(self) -> None:
        super().on_mount()
        project = self.draft.path
        aside(lambda: captioning.at_work(project), self._found)
        self._count()
        self.set_interval(TICK_SECONDS, self._tick)

    def update(self) -> None:
        listing = self._done is not None
        if listing:
            self._put_editor_away()
        self.query_one("#progress").display = self.query_one("#newest").display = listing
        self.form.display = self.query_one("#about").display = not listing
        if listing:
            self._show_written()
        self.show_rows(self._rows())
        self.query_one("#about", Lines).show(self._about(self.about_room))

    def sentence(self, standing: Standing) -> Says:
        if self._view is not None and self._seen is not None:
            doing = at_work(self._seen)
            return "ok", f"{doing[:1].upper()}{doing[1:]}… {self.key('stop')} stops it; it goes on when you leave."
        if self._ended is not None:
            return self._ended
        if self._trouble:
            return "x", self._trouble
        if self._outlook is None:
            return "ok", "Counting the captions…"
        if not self._outlook.to_write:
            return "!", self._outlook.sentence
        return "ok", f"{self._outlook.sentence} {self.key('begin')} starts."

    def offered(self, action: str) -> bool:
        if action in ("begin", "more", "enter"):
            return self._done is None
        if action == "stop":
            return self._view is not None
        if action == "options":
            return self._done is not None and self._view is None
        if action == "usual":
            return self._done is None and self.form.here in self.draft.project.captioning
        return super().offered(action)

    # ---------------------------------------------------------------------------------------------------------- rows
    def on_form_edited(self, event: Form.Edited) -> None:
        trouble = captioning.set_option(self.draft, event.key, event.text)
        if trouble is not None and trouble.code == "bad-value":
            self.to_be_mended(event.key, event.text, str(trouble))
            return
        self._changed(trouble)

    def on_form_stepped(self, event: Form.Stepped) -> None:
        option = job_options("captioning").get(event.key)
        options = self.options
        if option is not None:
            value = option.default if isinstance(options, UserError) else getattr(options, option.name)
            self._changed(captioning.set_option(self.draft, option.name, stepped(option, value, event.by)))

    def on_form_done(self, event: Form.Done) -> None:
        if event.key == "begin":
            self.action_begin()
        elif event.key == "more":
            self.action_more()
        else:
            self.on_form_stepped(Form.Stepped(event.key, 1))

    def action_usual(self) -> None:
        if self.form.display and self.form.here in self.draft.project.captioning:
            default = job_options("captioning")[self.form.here].default
            self._changed(captioning.set_option(self.draft, self.form.here, default))

    def action_more(self) -> None:
        if self.form.display:
            self._all = not self._all
            self.show_all()

    def _put_editor_away(self) -> None:
        """The form goes out of sight: what is half typed in it is there again with it."""
        if self.form.editing:
            self._half_typed = self.form.half_typed
            self.form.close()
            self._keep_half_typed(*self._half_typed)

    def _changed(self, trouble: UserError | None) -> None:
        self._ended = None
        self.done(trouble)
        self._count()

    # ---------------------------------------------------------------------------------------------------- taking back
    def action_undo(self) -> None:
        """The newest change: an option that was set here, else what was done to captions, as in their list."""
        captions = self.pages.page("captions")
        if self._view is not None:
            self.say("!", f"It is at work: {self.key('stop')} stops it first.")
        elif self.draft.undoable_edits > self._older or not isinstance(captions, CaptionsPage):
            self._undo_option()
        else:
            captions.take_back(self._taken_back, self._undo_option)

    def _undo_option(self) -> None:
        super().action_undo()
        self._older = min(self._older, self.draft.undoable_edits)
        self._count()

    def _taken_back(self, mark: str, sentence: str) -> None:
        if self.is_attached:
            self._ended, self._done = None, None  # what was written last is not there any more
            self._count()
            self.show_all()
            self.say(mark, sentence)

    # ------------------------------------------------------------------------------------------------------- the work
    def action_begin(self) -> None:
        options = self.options
        if self._view is not None or self._starting or self._download.busy:
            self.say("!", "It is at work already.")
        elif isinstance(options, UserError):
            self.say("x", str(options))
        elif self._outlook is not None and not self._outlook.to_write:
            self.say("!", self._outlook.sentence)
        else:
            self._starting = True
            self.say("ok", "Starting the engine…")
            draft = self.draft

            def work() -> RunFolder | tuple[str, str]:
                settings, project = draft.settings(), draft.project
                counts = self._counter.count(project, options.folders, settings.caption_extension)
                captioning.refuse_without_pictures(project, Outlook(counts, options))
                missing = captioning.download_for(options, settings.pretrained_model_name_or_path, project.path)
                return missing if missing[0] else captioning.begin(project, settings, options)[0]

            aside(lambda: or_error(work, "The engine could not be started"), self._started)

    def _come(self) -> None:
        """A captioner was downloaded."""
        self._meant.clear()
        self.action_begin()

    def _started(self, run: RunFolder | tuple[str, str] | UserError) -> None:
        self._starting = False
        if not self.is_attached:
            return
        if isinstance(run, UserError):
            self.say("x", str(run))
        elif isinstance(run, tuple):
            self._news = None
            self._download.offer_captioner(*run)
        else:
            self._found(run)

    def _found(self, run: RunFolder | None) -> None:
        """Follow a run that is at work."""
        if run is None or not self.is_attached:
            return
        self._news, self._ended = None, None
        self._view, self._done = RunView(run), DoneReader(run)
        self._tick()

    def _tick(self) -> None:
        if self._view is None or self._done is None:
            return
        self._seen = self._view.refresh()
        self._done.look()
        if self._seen.over:
            mark, said = captioning.how_it_ended(self._seen)
            goes = f" {self.key('home')} goes to the captions, to read and correct them." if mark == "ok" else ""
            self._ended, self._view = (mark, f"{said}{goes}"), None
            self._news, self._older = None, self.draft.undoable_edits
            self.wizard.look_again()
            self._count()
        if self.is_current:
            self.show_all()

    def _show_written(self) -> None:
        assert self._done is not None
        seen = self._seen
        phase = seen.snapshot.doing if seen is not None else None
        known = phase is not None and phase.total and self._view is not None
        parts = bar(phase.done, phase.total, BAR_CELLS) if phase is not None and known else []
        words = at_work(seen) if self._view is not None and seen is not None else "The newest first:"
        self.query_one("#progress", Lines).show([line(" ", *parts, (f" {words}", PLAIN)), line()])
        room = max(3, self.app.size.height - SPARE_ROWS)
        rows = caption_rows(self._done.all, room, self.room)
        if not rows:
            rows = [line((" Each is shown here as it comes; the files are written when it ends or stops.", DIM))]
        self.query_one("#newest", Lines).show(rows)

    def action_stop(self) -> None:
        if self._view is not None:
            self.say(*ask_to_stop(self._view.run))

    def action_options(self) -> None:
        """From what was written back to the options."""
        if self._view is None:
            self._done = None
            self.show_all()
            if self._half_typed is not None:
                half, self._half_typed = self._half_typed, None
                self.form.edit(*half, anew=False)

    # ------------------------------------------------------------------------------------------------- leaving it
    @property
    def place(self) -> str:
        return ""  # the step's place is that of its captions

    def go_to_place(self, place: str) -> None:
        pass

    def action_home(self) -> None:
        if self._download.busy:
            self._download.stop()
        else:
            self.app.pop_screen()

    def action_go_by(self, by: int) -> None:
        self.app.pop_screen()
        super().action_go_by(by)

    def action_go(self, step: StepName) -> None:
        self.app.pop_screen()
        super().action_go(step)
