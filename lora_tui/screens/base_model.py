"""The base model: those found on this machine, or any file or folder; recognised by its header at once."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.base_model import BaseModel
from engine.plan.byte_counts import size
from engine.plan.errors import inert
from engine.plan.found_models import Found, found_models
from lora_tui.aside import aside
from lora_tui.downloads import wanted
from lora_tui.model_choice import OPTION, judged, name_of, take_model, used_lately
from lora_tui.paths import clean
from lora_tui.screens.download import Download
from lora_tui.screens.form_page import FORM_KEYS, FormPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Form, Row, RowPath
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, PLAIN, WARN, line
from lora_tui.words import paragraph

SUFFIXES = (".safetensors", ".ckpt")


class BaseModelPage(FormPage):
    """Enter on a model uses it. Only headers are read; weights are loaded when the training begins."""

    STEP: ClassVar[StepName] = "model"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "p", "path", "path", id="path", tooltip="Type or paste a path, an https URL or a name on Hugging Face."
        ),
        Binding("f", "browse", "browse", id="browse", tooltip="Look for it in the folders of this machine."),
        *FORM_KEYS,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self._found: list[Found] | None = None
        self._download = Download(self, self._take, self._look)
        self._typed = ""  # what stands in the row of the path while it is edited

    def body(self) -> ComposeResult:
        yield Form(id="form")
        yield Lines(id="about")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(RowPath).start = str(self.draft.path)
        self._look()
        self._download.find()

    def _look(self) -> None:
        project = self.draft.path
        aside(lambda: found_models(project, used_lately()), self._take_found)

    def _take_found(self, found: list[Found]) -> None:
        self._found = found
        if self.is_attached:
            self.show_all()

    def update(self) -> None:
        now = str(self.draft.value(OPTION))
        rows = [Row("h1", "Chosen", kind="heading"), self._chosen(now), Row("h2", "On this machine", kind="heading")]
        if self._found is None:
            rows.append(Row("looking", "looking…", kind="note"))
        for number, model in enumerate(self._found or ()):
            aside = f"{model.kind:<14} {size(model.size) if model.size else ''}"
            rows.append(Row(f"found {number}", inert(name_of(model.path)), aside=aside, kind="action"))
        self.show_rows(rows)
        self.query_one("#about", Lines).show(self._about(now))

    def _chosen(self, now: str) -> Row:
        survey = self.wizard.survey
        wrong = survey is not None and survey.base_error is not None
        return Row("path", "File or folder", now or "(none yet)", text=now, mark="x" if wrong else "", kind="path")

    def _about(self, now: str) -> list[Text]:
        width = self.about_room
        survey = self.wizard.survey
        base: BaseModel | None = survey.base if survey is not None else None
        if self.form.here.startswith("found ") and self._found:
            model = self._found[int(self.form.here.partition(" ")[2])]
            return [line((f" {inert(model.path)}", DIM))]
        if base is None:
            text = "The model that the LoRA is trained on and that you will use it with: SDXL, or one made from it."
            return paragraph(text, width)
        what = ", ".join(
            filter(None, ("The practice model" if base.size == "micro" else "SDXL", base.prediction_in_words))
        )
        rows = [line((f" {what}, {base.kind}", PLAIN))]
        return rows + [line((f" {inert(note)}", WARN)) for note in base.notes]

    def sentence(self, standing: Standing) -> Says:
        if standing.mark == "done":
            return (
                "ok",
                f"Its header was read; weights are loaded when the training begins. {self.key('next')} goes on.",
            )
        if self.wizard.survey is not None and not str(self.draft.value(OPTION)):
            keys = f"{self.key('path')} types the path of a .safetensors file, {self.key('browse')} looks for one"
            return "x", f"No base model is chosen. {keys}; micro is for practice."
        return super().sentence(standing)

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_path(self) -> None:
        self.form.edit("path", str(self.draft.value(OPTION)))

    def action_browse(self) -> None:
        from lora_tui.screens.browse import Browse

        now = Path(str(self.draft.value(OPTION)) or Path.home())
        begin = now.parent if now.is_absolute() and now.parent.is_dir() else Path.home()

        def taken(path: Path | None) -> None:
            if path is not None:
                self._use(str(path))

        self.app.push_screen(Browse(begin, suffixes=SUFFIXES), taken)

    def on_form_done(self, event: Form.Done) -> None:
        model = (self._found or [])[int(event.key.partition(" ")[2])]
        self._use(str(model.path))

    def on_form_edited(self, event: Form.Edited) -> None:
        self._use(clean(event.text))

    def on_form_typing(self, event: Form.Typing) -> None:
        """What leads to something is looked at as it is typed; half a path is none yet."""
        self._typed = text = clean(event.text)

        def said(words: Says | None) -> None:
            if self.is_attached and self.form.editing and self._typed == text:
                self._news = words
                self.show_status()

        aside(lambda: judged(self.draft, text), said)

    def action_home(self) -> None:
        """Esc stops a download first."""
        if self._download.busy:
            self._download.stop()
        else:
            super().action_home()

    def _use(self, text: str) -> None:
        """Take a model that is here; one that is elsewhere may be downloaded."""
        if wanted(text, self.draft.path):
            self._download.offer(text, self._take)
        else:
            self._take(text)

    def _take(self, text: str) -> None:
        taken = take_model(self.draft, text)
        self.done(taken.trouble, taken.said)
        if taken.wrong:
            self.say("x", taken.wrong)
