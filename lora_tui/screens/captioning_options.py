"""The options of automatic captions as rows of a form, and what captions there are that they would change."""

from __future__ import annotations

import textwrap
from copy import deepcopy

from rich.text import Text

from engine.plan.captioning import AUTO, TRIGGER_WORD, CaptioningOptions
from engine.plan.errors import UserError, inert, plural
from engine.plan.job_options import job_options
from engine.plan.option import Option
from engine.plan.subjects import Subjects
from engine.plan.wanted_captions import Counts, Folders
from lora_tui import captioning
from lora_tui.aside import aside, or_error
from lora_tui.captioning import Outlook
from lora_tui.option_texts import shown_value, typed_value
from lora_tui.screens.form_page import ROW_KINDS, FormPage
from lora_tui.widgets.form import VALUE_CELLS, Row
from lora_tui.widgets.paint import DIM, GOOD, PLAIN, WARN, line


class CaptioningOptionsPage(FormPage):
    """A row for each option; what is done with them is the business of the screen that builds on it."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self._counter = captioning.Counter()
        self._counts: tuple[Folders, Counts] | None = None  # of which folders, and how many
        self._subjects = Subjects.of("", "", ())  # as far as they are known
        self._meant: dict[str, str] = {}  # by base model
        self._trouble = ""  # why nothing can be started
        self._all = False  # also the options that seldom matter

    @property
    def options(self) -> CaptioningOptions | UserError:
        """As they stand in the project."""
        try:
            return captioning.options_of(self.draft.project)
        except UserError as error:
            return error

    @property
    def _outlook(self) -> Outlook | None:
        """With the options as they are; None where the captions of their folders are not counted yet."""
        options = self.options
        if isinstance(options, UserError) or self._counts is None or self._counts[0] != options.folders:
            return None
        return Outlook(self._counts[1], options)

    def _count(self) -> None:
        """See in a thread how many captions there are; what was counted already shows until then."""
        project, options, extension = deepcopy(self.draft.project), self.options, self.draft.value("caption_extension")
        if isinstance(options, UserError):
            self._counted(options)
            return
        folders = options.folders

        def count() -> tuple[Folders, Counts, Subjects]:
            return folders, self._counter.count(project, folders, str(extension)), Subjects.of_project(project)

        aside(lambda: or_error(count, "Not counted"), self._counted)

    def _counted(self, found: tuple[Folders, Counts, Subjects] | UserError) -> None:
        self._trouble = str(found) if isinstance(found, UserError) else ""
        self._counts = None
        if not isinstance(found, UserError):
            *_, self._subjects = found
            self._counts = found[:2]
        if self.is_attached:
            self.show_all()

    def _rows(self) -> list[Row]:
        options, rows, group = self.options, list[Row](), ""
        for option in job_options("captioning").values():
            if option.page != "basic" and not self._all:
                continue
            if option.group != group:
                group = option.group
                rows.append(Row(f"heading {len(rows)}", group, kind="heading"))
            rows.append(self._row(option, options))
        rows.append(Row("heading start", "Start", kind="heading"))
        rows.append(Row("begin", "Write the captions", aside=self._aside, kind="action"))
        hidden = "hide what seldom matters" if self._all else "beams, lengths, repetition, tags, device"
        rows.append(Row("more", "Fewer options" if self._all else "More options", aside=hidden, kind="action"))
        return rows

    @property
    def _aside(self) -> str:
        return plural(self._outlook.to_write, "picture") if self._outlook is not None else ""

    def _row(self, option: Option, options: CaptioningOptions | UserError) -> Row:
        value = self.draft.project.captioning.get(option.name, option.default)
        if not isinstance(options, UserError):
            value = getattr(options, option.name)
        changed = option.name in self.draft.project.captioning
        return Row(
            option.name,
            option.title,
            shown_value(option, value),
            text=typed_value(option, value),
            aside=self._beside(option, str(value), changed),
            changed=changed,
            kind=ROW_KINDS.get(option.kind, "text"),
        )

    def _beside(self, option: Option, value: str, changed: bool) -> str:
        trigger = self.draft.project.trigger
        if TRIGGER_WORD in value:
            also = " or another subject's" if self._subjects.others else ""
            return f"which is {trigger}{also}" if trigger else "which this project has not"
        if option.name == "model" and value == AUTO:
            base = str(self.draft.value("pretrained_model_name_or_path"))
            if base not in self._meant:  # the model's files are looked into
                self._meant[base] = captioning.meant(value, base, self.draft.path)
            return self._meant[base]
        if changed:
            return f"changed; usual: {option.usual}"
        return option.usual if len(option.usual) < VALUE_CELLS else ""

    def _about(self, width: int) -> list[Text]:
        rows: list[Text] = []
        option = job_options("captioning").get(self.form.here)
        if option is not None:
            rows += [line((f" {part}", PLAIN)) for part in textwrap.wrap(option.help, width)]
            guide = f"the guide: {option.guide}" if option.guide else ""
            facts = "   ".join(filter(None, (f"usual: {option.usual}", guide, option.name)))
            rows += [line((f" {part}", DIM)) for part in textwrap.wrap(facts, width)]
        options = self.options
        if not isinstance(options, UserError):
            project = self.draft.project
            warning = Outlook(Counts(), options).warning  # first: there may be no room for all
            rows[:0] = [line((f" {part}", WARN)) for part in textwrap.wrap(warning, width)]
            at = len(textwrap.wrap(warning, width))
            text = captioning.example(options, project.trigger, project.class_name)
            rows += [line((" For example: ", DIM), (part, GOOD)) for part in textwrap.wrap(inert(text), width - 14)[:1]]
            told = inert(captioning.on_subjects(self._subjects))
            rows[at:at] = [line((f" {part}", PLAIN)) for part in textwrap.wrap(told, width)]
        return rows
