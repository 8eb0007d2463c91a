"""The parameters: a preset, then Basic, Advanced and Samples as the guide has them. Made from the declared options."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan import presets
from engine.plan.errors import Finding
from engine.plan.option import Option, Page
from engine.plan.options import by_name
from engine.plan.presets import Preset
from lora_tui.option_texts import (
    PAGES,
    complaint,
    finding_of,
    listed,
    mended_in_words,
    shown_value,
    stepped,
    typed_value,
)
from lora_tui.preset_shelf import title_of
from lora_tui.screens.form_page import BESIDE_CELLS, FORM_KEYS, ROW_KINDS, FormPage
from lora_tui.screens.memory import MEMORY_KEY, MemoryPage, meter_lines
from lora_tui.steps import StepName
from lora_tui.widgets.form import LABEL_CELLS, VALUE_CELLS, Form, Row, RowPath
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, BAD, DIM, PLAIN, WARN, line
from lora_tui.widgets.tabs import Tabs


class SettingsPage(FormPage):
    """A row for each option, with what the preset says; the pane below explains the chosen one."""

    STEP: ClassVar[StepName] = "settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "page(1)", "next part", id="page", tooltip="Basic, Advanced, Samples: the next part."),
        Binding("shift+tab", "page(-1)", "", show=False),
        Binding("d", "usual", "default", id="usual", tooltip="Back to what the preset says."),
        Binding(
            "p",
            "presets",
            "presets",
            id="presets",
            tooltip="Sets of settings to start from, and what each changes.",
        ),
        Binding(
            "i",
            "import",
            "import",
            id="import",
            tooltip="Take settings from a file of kohya's programs or from a LoRA; what changes is shown first.",
        ),
        Binding(
            "x",
            "export",
            "export",
            id="export",
            tooltip="Write these settings as files for kohya's sd-scripts; says what those cannot do.",
        ),
        MEMORY_KEY,
        Binding("m", "mend", "mend", id="mend", tooltip="Take the value that mends what was found here."),
        *FORM_KEYS,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)  # type: ignore[arg-type]
        self.part: Page = "basic"

    def body(self) -> ComposeResult:
        yield Tabs(PAGES, id="parts", numbered=False)
        yield Lines(id="meter")
        yield Form(id="form")
        yield Lines(id="about")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(RowPath).start = str(self.draft.path)

    def update(self) -> None:
        self.query_one(Tabs).choose(self.part)
        rows: list[Row] = []
        if self.has_class("-roomy"):
            rows.append(Row("columns", f"{'':<{LABEL_CELLS + 1}} {'value':<{VALUE_CELLS}}the preset's", kind="heading"))
        for part, title in PAGES.items():
            if self.has_class("-huge"):  # all parts at once
                rows.append(Row(f"heading {part}", title, kind="heading"))
            elif part != self.part:
                continue
            rows += [self._preset_row()] if part == "basic" else []
            rows += self._rows(part)
        self.show_rows(rows)
        cells = self.room - (BESIDE_CELLS if self.has_class("-huge") else 0)
        self.query_one("#meter", Lines).show(meter_lines(self.wizard.survey, cells))
        self.query_one("#about", Lines).show(self._about(self.about_room - 2))

    def _rows(self, part: str) -> list[Row]:
        """The options of a part, the many of the advanced one in their groups."""
        rows, group = [], ""
        for option in listed(part):
            if part == "advanced" and option.group != group:
                group = option.group
                rows.append(Row(f"group {group}", group, kind="heading"))
            rows.append(self._row(option))
        return rows

    def _preset_row(self) -> Row:
        return Row("preset", "Start from", title_of(self.draft.project.preset), kind="choice")

    def _row(self, option: Option) -> Row:
        typed = self.draft.typed.get(option.name)
        found = self._finding(option)
        usual = shown_value(option, self.draft.usual(option.name))
        changed = typed is not None or self.draft.changed(option.name)
        return Row(
            option.name,
            option.title,
            value=typed if typed is not None else shown_value(option, self.draft.value(option.name)),
            text=typed if typed is not None else typed_value(option, self.draft.value(option.name)),
            aside=f"changed; preset: {usual}" if changed else usual if len(usual) < VALUE_CELLS else "",
            mark="x" if typed is not None or (found and found.stops_training()) else "!" if found else "",
            changed=changed,
            kind=ROW_KINDS.get(option.kind, "text"),
        )

    def _finding(self, option: Option) -> Finding | None:
        return finding_of(option, self.wizard.survey)

    # ------------------------------------------------------------------------------------------------- the pane below
    def _about(self, width: int) -> list[Text]:
        if self.form.here == "preset":
            return self._about_preset(width)
        option = by_name().get(self.form.here)
        if option is None:
            return []
        rows = [line((f" {part}", PLAIN)) for part in textwrap.wrap(option.help, width)]
        guide = f"the guide: {option.guide}" if option.guide else ""
        facts = "   ".join(filter(None, (f"usual: {option.usual}", guide, option.name)))
        rows += [line((f" {part}", DIM)) for part in textwrap.wrap(facts, width)]
        if (typed := self.draft.typed.get(option.name)) is not None:
            why = f"{complaint(option, typed)} It is kept here, and not used."
            rows += [line((f" {part}", BAD)) for part in textwrap.wrap(why, width)]
        elif (found := self._finding(option)) is not None:
            rows += [line((f" {part}", WARN)) for part in textwrap.wrap(found.message, width)]
            if found.value is not None:
                rows.append(line((f" {self.key('mend')}", ACCENT), (f" sets it to {mended_in_words(found)}", DIM)))
        return rows

    def _about_preset(self, width: int) -> list[Text]:
        name = self.draft.project.preset
        if name not in presets.names():
            return [line((" Enter shows the presets, and what each would change here.", DIM))]
        preset = presets.load(str(name))
        rows = [line((f" {part}", PLAIN)) for part in textwrap.wrap(preset.when, width)]
        for note in preset.notes:
            wrapped = textwrap.wrap(note, width - 2)
            rows += [line((" · " if first == 0 else "   ", DIM), (part, DIM)) for first, part in enumerate(wrapped)]
        return rows

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_page(self, by: int) -> None:
        names = list(PAGES)
        self._show_part(names[(names.index(self.part) + by) % len(names)])

    def on_tabs_chosen(self, event: Tabs.Chosen) -> None:
        self._show_part(event.name)

    def _show_part(self, part: str) -> None:
        self.part = part  # type: ignore[assignment]
        self.show_all()
        if self.has_class("-huge"):
            self.form.choose("preset" if part == "basic" else listed(part)[0].name)

    def on_form_moved(self, event: Form.Moved) -> None:
        if event.key in by_name() and self.has_class("-huge"):
            self.part = by_name()[event.key].page
        super().on_form_moved(event)

    def show_option(self, option: Option) -> None:
        """Bring an option into sight, for those who looked for it."""
        self.part = option.page

        def choose() -> None:
            self.show_all()
            self.form.choose(option.name)

        self.call_after_refresh(choose)

    def go_to_place(self, place: str) -> None:
        self._show_part_of(place)
        super().go_to_place(place)

    def go_on_typing(self, row: str, text: str) -> None:
        self._show_part_of(row)
        super().go_on_typing(row, text)

    def _show_part_of(self, row: str) -> None:
        """Only then is the row among those of the form."""
        if row in by_name():
            self.part = by_name()[row].page
            self.show_all()

    def action_usual(self) -> None:
        if self.form.here in by_name():
            self.done(self.draft.reset(self.form.here))

    def action_memory(self) -> None:
        self.app.push_screen(MemoryPage(self.pages))

    def action_mend(self) -> None:
        option = by_name().get(self.form.here)
        found = self._finding(option) if option is not None else None
        if found is not None and found.option and found.value is not None:
            undo = self.key("undo")
            told = f"{by_name()[found.option].title} is {mended_in_words(found)} now; {undo} takes that back."
            self.done(self.draft.set_values(found.changes), told)

    def offered(self, action: str) -> bool:
        option = by_name().get(self.form.here) if self.is_mounted else None
        if action in ("presets", "import", "export"):  # on the other rows the line has no room for it
            return self.is_mounted and self.form.here == "preset"
        if action == "mend":
            found = self._finding(option) if option is not None else None
            return found is not None and found.value is not None
        if action == "usual":
            return option is not None and (option.name in self.draft.typed or self.draft.changed(option.name))
        return super().offered(action)

    def on_form_edited(self, event: Form.Edited) -> None:
        self.done(self.draft.set(event.key, event.text))

    def on_form_typing(self, event: Form.Typing) -> None:
        """Values are checked as they are typed."""
        option = by_name().get(event.key)
        if option is not None:
            said = complaint(option, event.text)
            self.say("x" if said else "ok", said or f"Enter takes it. {option.usual} is usual.")

    def on_form_done(self, event: Form.Done) -> None:
        if event.key == "preset":
            self.action_presets()
        else:
            self.on_form_stepped(Form.Stepped(event.key, 1))

    def on_form_stepped(self, event: Form.Stepped) -> None:
        if event.key == "preset":
            self.action_presets(event.by)
            return
        option = by_name()[event.key]
        self.done(self.draft.set_value(option.name, stepped(option, self.draft.value(option.name), event.by)))

    def action_presets(self, by: int = 0) -> None:
        """The list of presets, from the one in use or `by` rows beside it."""
        from lora_tui.screens.presets import PresetsScreen

        self.app.push_screen(PresetsScreen(self.draft, by), self._take_preset)

    def action_import(self) -> None:
        from lora_tui.screens.importing import choose_file

        choose_file(self)

    def action_export(self) -> None:
        from lora_tui.screens.exporting import export_settings

        export_settings(self)

    def _take_preset(self, preset: Preset | None) -> None:
        if preset is not None:
            trouble = self.draft.take_preset(preset)
            self.done(trouble, f"The settings start from {preset.title} now; {self.key('undo')} takes that back.")
