"""The results: without and with the LoRA at the same seeds, which epoch to keep, and taking it to where it is used."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.plan.errors import UserError, inert
from engine.plan.export import Destination, prompt_text, usual_folders
from engine.plan.lora_formats import FORMATS
from engine.runs.folder import RunFolder
from engine.runs.state import RunView
from lora_tui.aside import aside, or_error
from lora_tui.clipboard import copy
from lora_tui.comparisons import Comparison, comparison, last_comparison
from lora_tui.conversion import FOR_WHOM, export_as
from lora_tui.fetch_home import FetchLine, connection, fetch_line
from lora_tui.job_runs import ask_to_stop
from lora_tui.loras import (
    FIRST_SEED,
    facts_of,
    first_prompt,
    loras_of,
    name_of_copy,
    prompt_of,
    seed_of,
    start_comparison,
    weight_of,
)
from lora_tui.paths import clean
from lora_tui.progress import at_work
from lora_tui.screens import questions
from lora_tui.screens.form_page import FORM_KEYS, FormPage
from lora_tui.screens.sentences import Says, how_drawn
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Form, Row
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, PLAIN, STRONG, line
from lora_tui.widgets.picture import Picture
from lora_tui.words import fetch_lines, paragraph

WEIGHT_STEP = 0.1
LOOK_SECONDS = 0.5


class ResultsPage(FormPage):
    """Choose a LoRA with Enter; `c` compares it with the base model, `x` copies it to where it is used."""

    STEP: ClassVar[StepName] = "results"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "compare", id="compare", tooltip="Draw the prompt without and with the LoRA."),
        Binding("s", "stop", "stop drawing", id="stop", tooltip="Stop the comparison that is being drawn."),
        Binding("x", "export", "export…", id="export", tooltip="Copy the chosen LoRA to a folder."),
        Binding("z", "large", "large", id="large", tooltip="The comparison as large as the terminal."),
        *FORM_KEYS,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self.chosen: Path | None = None
        self.prompt, self.seed, self.weight = "", FIRST_SEED, 1.0
        self.export_name, self.export_to, self.export_format = "", "", FORMATS[0]
        self._remembered()
        self.destinations: list[Destination] = []
        self._loras: list[Path] = []
        self._facts: dict[Path, str] = {}
        self._view: RunView | None = None  # of the comparison that is being drawn
        self._drawn: Comparison | None = None  # the last one, as far as it is there
        self._copied: Path | None = None
        self._connection = ""

    def body(self) -> ComposeResult:
        with Horizontal(id="pictures"):
            yield Picture(id="without")
            yield Picture(id="with")
        yield Lines(id="under")
        yield Form(id="form")
        yield Lines(id="about")

    def on_mount(self) -> None:
        super().on_mount()
        aside(usual_folders, self._found)
        project = self.draft.path
        aside(lambda: last_comparison(project), self._recalled)
        self.set_interval(LOOK_SECONDS, self._look)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        aside(connection, self._connected)  # over which of several, may have changed

    def _recalled(self, drawn: Comparison | None) -> None:
        """What was drawn the last time is there again."""
        if self._drawn is None and self._view is None and drawn is not None and self.is_attached:
            self._drawn = drawn
            self.show_all()

    def _connected(self, connection: str) -> None:
        self._connection = connection
        if self.is_attached:
            self.show_all()

    def _found(self, destinations: list[Destination]) -> None:
        self.destinations = destinations
        if self.is_attached:
            self.show_all()

    def update(self) -> None:
        self._loras = loras_of(self.draft.project.model_dir)
        if self.chosen not in self._loras:
            self.chosen = self._loras[-1] if self._loras else None
        rows = [Row("h1", "LoRAs", kind="heading")]
        for path in reversed(self._loras):
            here = "✓ " if path == self.chosen else "  "
            rows.append(Row(f"lora {path.name}", f"{here}{inert(path.stem)}", aside=self._told(path), kind="action"))
        if not self._loras:
            rows.append(Row("none", "none yet: they come with the training", kind="note"))
        rows += self._ways() if self._loras else []
        self.show_rows(rows)
        self._show_pictures()
        self.query_one("#about", Lines).show(self._about())

    def _ways(self) -> list[Row]:
        """What can be done with a LoRA."""
        rows = [
            Row("h2", "Compare", kind="heading"),
            Row("prompt", "Prompt", self.prompt or self._usual_prompt, text=self.prompt or self._usual_prompt),
            Row("seed", "Seed", str(self.seed), kind="number"),
            Row("weight", "LoRA weight", f"{self.weight:g}", kind="number", aside="1 is the whole of it"),
            Row("compare", "Draw without and with", aside="the same prompt and seed", kind="action"),
            Row("h3", "Take it to where you use it", kind="heading"),
            Row("name", "As", self._export_name(), text=self._export_name()),
        ]
        for number, place in enumerate(self.destinations):
            rows.append(Row(f"to {number}", f"Copy to {place.program}", aside=inert(place.folder), kind="action"))
        rows.append(Row("folder", "Copy to a folder", self.export_to, kind="path"))
        form = self.export_format
        rows.append(Row("format", "Format in that folder", form, aside=FOR_WHOM[form], kind="choice"))
        if self.chosen is not None:
            rows.append(Row("words", "Copy the words for a prompt", aside=inert(self._words()), kind="action"))
            if self._fetch is not None:
                rows.append(Row("home", "Fetch it to your computer", aside="the command for it", kind="action"))
        return rows

    def _told(self, path: Path) -> str:
        """Epoch, step and size of a LoRA; its file is read once."""
        if path not in self._facts:
            self._facts[path] = facts_of(path)
        return self._facts[path]

    @property
    def _usual_prompt(self) -> str:
        return first_prompt(self.draft)

    def _export_name(self) -> str:
        return self.export_name or (self.chosen.stem if self.chosen is not None else "")

    @property
    def _fetch(self) -> FetchLine | None:
        return fetch_line(self.chosen, self._connection) if self.chosen is not None else None

    def _words(self, name: str = "") -> str:
        """What is pasted into a prompt: the LoRA at the weight that was looked at, and the word that calls it up."""
        return f"{prompt_text(name or self._export_name(), self.weight)} {self.draft.project.trigger}".rstrip()

    def _about(self) -> list[Text]:
        if self.form.here == "home" and self._fetch is not None:
            return fetch_lines(self._fetch, self.about_room)
        if self._copied is not None:
            rows = paragraph(f"Copied: {inert(self._copied)}", self.about_room)
            return [
                *rows,
                line((" In a prompt of A1111 or Forge: ", DIM), (inert(self._words(self._copied.stem)), STRONG)),
            ]
        if self._drawn is not None and self._drawn.sheet is not None:
            what = f"Drawn of: {self._drawn.prompt} (with {self._drawn.words})."
            return paragraph(f"{what} The sheet and its pictures: {inert(self._drawn.run.path)}", self.about_room)
        return []

    def _show_pictures(self) -> None:
        place = self.query_one("#pictures")
        drawn = self._drawn
        place.display = drawn is not None and bool(drawn.pictures) and self.app.size.height >= 30
        for name, with_lora in (("#without", False), ("#with", True)):
            self.query_one(name, Picture).show_path(drawn.picture(with_lora) if drawn is not None else None)
        words = f" left: without   right: with {drawn.words}" if drawn is not None else ""
        self.query_one("#under", Lines).show([line((words, PLAIN))] if place.display else [])

    def sentence(self, standing: Standing) -> Says:
        if self._view is not None:
            seen = self._view.refresh()
            return "ok", f"Drawing: {at_work(seen)}…"
        if standing.mark != "done":
            return "x", standing.missing
        return "ok", f"{self.key('compare')} shows what the LoRA does, {self.key('export')} copies it."

    # ------------------------------------------------------------------------------------------------------ comparing
    def _look(self) -> None:
        """Follow the comparison under way."""
        if self._view is None:
            return
        seen = self._view.refresh()
        self._drawn = comparison(self._view.run, seen)
        if seen.over:
            self._view, self._news = None, how_drawn(seen, self.key("large"))
        if self.is_current:
            self.show_all()

    def _take_pointed(self) -> None:
        """Whoever points at a LoRA means that one."""
        what, _, name = self.form.here.partition(" ")
        if what == "lora":
            self._choose(self.draft.project.model_dir / name)

    def _choose(self, lora: Path) -> None:
        if lora != self.chosen:
            self.chosen, self.export_name, self._copied = lora, "", None
            self.show_all()

    def action_compare(self) -> None:
        self._take_pointed()
        if self.chosen is None or self._view is not None:
            self.say("!", "It is being drawn already." if self._view is not None else "There is no LoRA yet.")
            return
        draft, lora = self.draft, self.chosen
        prompt, seed, weight = self.prompt or self._usual_prompt, self.seed, self.weight
        self.say("ok", "Starting the engine…")

        def work() -> RunFolder:
            return start_comparison(draft, lora, prompt, seed, weight)

        aside(lambda: or_error(work, "The engine could not be started"), self._started)

    def _started(self, run: RunFolder | UserError) -> None:
        if isinstance(run, UserError):
            self.say("x", str(run))
            return
        self._news, self._copied, self._drawn = None, None, None
        self._view = RunView(run)
        self.show_all()

    def action_stop(self) -> None:
        if self._view is not None:
            self.say(*ask_to_stop(self._view.run))

    def action_large(self) -> None:
        from lora_tui.screens.large import LargePicture

        if self._drawn is not None and self._drawn.pictures:
            paths, names = zip(*self._drawn.named(), strict=True)
            self.app.push_screen(LargePicture(paths, names=names))

    def offered(self, action: str) -> bool:
        if action in ("large", "stop"):
            return self._view is not None if action == "stop" else bool(self._drawn and self._drawn.pictures)
        if action in ("compare", "export"):
            return self.chosen is not None and (action == "export" or self._view is None)
        return super().offered(action)

    # ------------------------------------------------------------------------------------------------------ the form
    def action_export(self) -> None:
        self._take_pointed()
        self.form.edit("folder", self.export_to)

    def on_form_done(self, event: Form.Done) -> None:
        what, _, rest = event.key.partition(" ")
        if what == "lora":
            self._choose(self.draft.project.model_dir / rest)
        elif what == "compare":
            self.action_compare()
        elif what == "words":
            self._copy(self._words())
        elif what == "home" and self._fetch is not None:
            self._copy(self._fetch.command)
        elif what == "to":
            self._export(self.destinations[int(rest)].folder)
        elif what == "format":
            self.on_form_stepped(Form.Stepped(what, 1))

    def on_form_stepped(self, event: Form.Stepped) -> None:
        if event.key == "seed":
            self.seed = max(0, self.seed + event.by)
        elif event.key == "weight":
            self.weight = round(max(-2.0, min(2.0, self.weight + event.by * WEIGHT_STEP)), 2)
        elif event.key == "format":
            self.export_format = FORMATS[FORMATS.index(self.export_format) - 1]
        self._keep()
        self.show_all()

    def on_form_typing(self, event: Form.Typing) -> None:
        """Values are checked as they are typed."""
        checks = {"prompt": prompt_of, "seed": seed_of, "weight": weight_of, "name": name_of_copy}
        if event.key in checks:
            try:
                checks[event.key](event.text.strip())
            except UserError as error:
                self.say("x", str(error))
            else:
                self.say("ok", "Enter takes it; Esc leaves it as it was.")

    def on_form_edited(self, event: Form.Edited) -> None:
        if event.key == "folder":
            self.export_to = clean(event.text)
            self._keep()
            self.show_all()
            if self.export_to:
                self._export(Path(self.export_to), self.export_format)
            return
        text = event.text.strip()
        try:
            if event.key == "prompt":
                self.prompt = prompt_of(text)
            elif event.key == "seed":
                self.seed = seed_of(text)
            elif event.key == "weight":
                self.weight = weight_of(text)
            elif event.key == "name":
                self.export_name = name_of_copy(text)
        except UserError as error:
            self.to_be_mended(event.key, event.text, str(error))
            return
        self._news = None
        self._keep()
        self.show_all()

    def _keep(self) -> None:
        """Also after the app was left."""
        words = {
            "prompt": self.prompt,
            "seed": str(self.seed),
            "weight": f"{self.weight:g}",
            "as": self.export_name,
            "to": self.export_to,
            "format": self.export_format,
        }
        self.draft.beside.remember("results", words)

    def _remembered(self) -> None:
        said = {name: text for name, text in self.draft.beside.remembered("results").items() if isinstance(text, str)}
        self.prompt, self.export_name = said.get("prompt", ""), said.get("as", "")
        self.export_to = said.get("to", "")
        self.export_format = said.get("format", "") if said.get("format") in FORMATS else FORMATS[0]
        with contextlib.suppress(UserError):
            self.seed = seed_of(said.get("seed", ""))
        with contextlib.suppress(UserError):
            self.weight = weight_of(said.get("weight", ""))

    def _copy(self, text: str) -> None:
        try:
            self.say("ok", copy(self.app, text, self.draft.beside.folder))
        except UserError as error:
            self.say("x", f"The terminal was asked to copy it. {error}")

    def _export(self, folder: Path, form: str = FORMATS[0]) -> None:
        if self.chosen is None:
            self.say("!", "There is no LoRA yet.")
            return
        copying = partial(export_as, form, self.chosen, folder, self._export_name())
        self.say("ok", "Copying…" if form == FORMATS[0] else "Converting and copying, some seconds…")
        aside(lambda: or_error(copying, "It could not be copied"), partial(self._exported, folder, form))

    def _offer_to_make(self, folder: Path, form: str) -> None:
        def chosen(answer: str | None) -> None:
            if not answer:
                if str(folder) == self.export_to:
                    self.to_be_mended("folder", self.export_to, f"There is no folder {inert(folder)}.")
                return
            try:
                folder.expanduser().mkdir(parents=True, exist_ok=True)
            except (OSError, ValueError) as error:
                self.say("x", f"The folder could not be made: {error}")
            else:
                self._export(folder, form)

        self.app.push_screen(questions.make_folder(folder), chosen)

    def _exported(self, folder: Path, form: str, copied: Path | UserError) -> None:
        if isinstance(copied, UserError):
            self.say("x", str(copied))
            if copied.code == "no-such-folder":
                self._offer_to_make(folder, form)
            return
        if form == FORMATS[0]:
            self._copied = copied
            self._news = ("ok", f"Copied. In a prompt of A1111 or Forge write {self._words(copied.stem)}")
        else:
            self._copied, self._news = None, ("ok", f"Copied for diffusers: {inert(copied)}")
        self.show_all()
