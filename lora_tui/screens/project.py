"""The first step: what the LoRA is called, its trigger word and class, and how often its pictures are seen."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.plan.errors import Finding, UserError, inert
from engine.plan.folders import find_folders
from engine.plan.repeats import Advice, advise
from engine.plan.trigger import judge
from lora_tui.project_edits import MOST_REPEATS, change_of, refusal, repeats_of
from lora_tui.screens.form_page import FormPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Form, Row
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, line
from lora_tui.wished_steps import wish_for, wished_steps
from lora_tui.words import about

if TYPE_CHECKING:
    from lora_tui.pages import Pages
    from lora_tui.survey import Survey

WISH_STEP = 100  # steps, by the arrow keys


class ProjectPage(FormPage):
    """Edits [project] of project.toml, and the repeats of the folders. Folders are never renamed."""

    STEP: ClassVar[StepName] = "project"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "r", "recommended", "recommended repeats", id="recommended",
            tooltip="Set the repeats that are recommended for the steps wished for.",
        ),
    ]  # fmt: skip

    def __init__(self, pages: Pages) -> None:
        super().__init__(pages)
        self._advised: tuple[tuple[Survey, int | None], Advice] | None = None  # the last, and what it was made of

    def body(self) -> ComposeResult:
        yield Form(id="form")
        yield Lines(id="about")

    def update(self) -> None:
        project = self.draft.project
        warned = judge(project.trigger, project.class_name)
        rows = [
            Row("name", "Name", project.name, aside="also the LoRA's"),
            Row("trigger", "Trigger word", project.trigger, mark="!" if warned else "", aside="a made-up word"),
            Row("class", "Class", project.class_name, aside="man, woman, dog, style …"),
        ]
        for kind, folder in (("train", project.image_dir), ("reg", project.reg_dir)):
            for found in find_folders(folder, kind, project.repeats)[0]:  # type: ignore[arg-type]
                changed = found.name in project.repeats
                label = "Repeats, your pictures" if kind == "train" else "Repeats, regularisation"
                key = f"{'repeats' if kind == 'train' else 'reg-repeats'} {found.name}"
                rows.append(Row(key, label, str(found.repeats), kind="number", changed=changed, aside=found.name))
        advice = self.advice
        if advice is not None:
            aside = "as recommended" if advice.followed else f"{self.key('recommended')} recommends repeats"
            wished = wished_steps(self.draft.beside)
            says = f"none: {advice.wished:,}, {advice.whose}" if wished is None else str(wished)
            typed, changed = "" if wished is None else says, wished is not None
            rows.append(Row("wish", "Steps wished for", says, text=typed, kind="number", changed=changed, aside=aside))
        self.form.show(rows)
        key = self._key()
        counts = advice is not None and key in ("repeats", "wish")
        keys = ("name", "trigger", "class", "repeats", "reg-repeats", "wish") if self.has_class("-roomy") else ()
        keys = () if counts and not self.has_class("-huge") else keys  # the arithmetic takes their place
        shown = about(key, self.about_room, judge_of(warned), keys)
        if advice is not None and counts:
            alone = key == "wish" and not self.has_class("-roomy")
            shown = self._arithmetic(advice) if alone else [*shown, line(), *self._arithmetic(advice)]
        self.query_one("#about", Lines).show(shown)

    @property
    def advice(self) -> Advice | None:
        """The recommended repeats; None until the pictures are known."""
        survey = self.wizard.survey
        if survey is None or survey.dataset is None or survey.settings is None:
            return None
        of = (survey, wished_steps(self.draft.beside))
        if self._advised is None or self._advised[0] != of:  # thousands of pictures are not counted at every key
            self._advised = (of, advise(survey.settings, survey.dataset, of[1]))
        return self._advised[1]

    def _arithmetic(self, advice: Advice) -> list[Text]:
        """How the recommended repeats come about, and the key that sets them."""
        width = max(30, self.about_room - 2)
        parts = [part for said in advice.lines for part in textwrap.wrap(said, width)]
        rows = [line((f" {part}", DIM)) for part in parts]
        if not advice.followed:
            rows.append(line((f" {self.key('recommended')}", STRONG), (" sets these repeats.", DIM)))
        return [line((" Recommended repeats", STRONG)), *rows]

    def action_recommended(self) -> None:
        advice = self.advice
        if advice is None or advice.followed:
            self.say("ok", "The repeats are as recommended." if advice is not None else "There are no pictures yet.")
            return
        said = ", ".join(f"{name}: {times}" for name, times in advice.repeats.items())
        self.done(self.draft.edit(repeats_of(advice.repeats)), f"Repeats are set: {inert(said, 80)}. That makes "
                  f"{advice.steps:,} steps.")  # fmt: skip

    def offered(self, action: str) -> bool:
        if action == "recommended":
            advice = self.advice
            return advice is not None and not advice.followed
        return super().offered(action)

    def _key(self) -> str:
        return self.form.here.partition(" ")[0]

    def sentence(self, standing: Standing) -> Says:
        if standing.mark == "todo" and not any("repeats " in row.key for row in self.form.rows):
            return (
                "x",
                f"{standing.missing} Nor is there a folder such as img/25_ohwx man yet; the next step says more.",
            )
        warned = judge(self.draft.project.trigger, self.draft.project.class_name)
        if standing.mark == "done" and warned is not None:
            return "!", str(warned)
        return super().sentence(standing)

    def on_form_edited(self, event: Form.Edited) -> None:
        text = event.text.strip()
        name, _, folder = event.key.removeprefix("reg-").partition(" ")
        if name == "wish":
            self._wish(event.key, text)
            return
        if refused := refusal(name, text):
            self.to_be_mended(event.key, event.text, refused)
        else:
            self.done(self.draft.edit(change_of(name, text, folder)))

    def _wish(self, row: str, text: str) -> None:
        if refused := wish_for(self.draft.beside, text):
            self.to_be_mended(row, text, refused)
        else:
            self.done(None)

    def on_form_typing(self, event: Form.Typing) -> None:
        """Texts are checked as they are typed."""
        name, text = event.key.removeprefix("reg-").partition(" ")[0], event.text.strip()
        if name == "wish":
            self.say("ok", "About how many steps; nothing for the guide's number. Enter takes it.")
            return
        refused = refusal(name, text)
        words = {"trigger": self.draft.project.trigger, "class": self.draft.project.class_name, name: text}
        warned = judge(words["trigger"], words["class"]) if name in words and text and not refused else None
        mark = "x" if refused else "!" if warned is not None else "ok"
        self.say(mark, refused or judge_of(warned) or "Enter takes it; Esc leaves it as it was.")

    def on_form_stepped(self, event: Form.Stepped) -> None:
        row = self.form.row
        if row is not None and row.key == "wish" and (advice := self.advice) is not None:
            self._wish(row.key, str(max(WISH_STEP, advice.wished + event.by * WISH_STEP)))
        elif row is not None and row.value.isdecimal():
            repeats = str(max(1, min(MOST_REPEATS, int(row.value) + event.by)))
            self.done(self.draft.edit(change_of("repeats", repeats, event.key.partition(" ")[2])))


def judge_of(finding: Finding | UserError | None) -> str:
    """A finding as a sentence for the pane below; "" for none."""
    return "" if finding is None else str(finding)
