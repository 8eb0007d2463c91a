"""The first step: what the LoRA is called, its trigger word and class, and how often its pictures are seen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from engine.plan.errors import Finding, UserError
from engine.plan.folders import find_folders
from engine.plan.trigger import judge
from lora_tui.project_edits import MOST_REPEATS, change_of, refusal
from lora_tui.screens.form_page import FormPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.form import Form, Row
from lora_tui.widgets.lines import Lines
from lora_tui.words import about


class ProjectPage(FormPage):
    """Edits [project] of project.toml, and the repeats of the folders. Folders are never renamed."""

    STEP: ClassVar[StepName] = "project"

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
        self.form.show(rows)
        keys = ("name", "trigger", "class", "repeats", "reg-repeats") if self.has_class("-roomy") else ()
        self.query_one("#about", Lines).show(about(self._key(), self.about_room, judge_of(warned), keys))

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
        if refused := refusal(name, text):
            self.to_be_mended(event.key, event.text, refused)
        else:
            self.done(self.draft.edit(change_of(name, text, folder)))

    def on_form_typing(self, event: Form.Typing) -> None:
        """Texts are checked as they are typed."""
        name, text = event.key.removeprefix("reg-").partition(" ")[0], event.text.strip()
        refused = refusal(name, text)
        words = {"trigger": self.draft.project.trigger, "class": self.draft.project.class_name, name: text}
        warned = judge(words["trigger"], words["class"]) if name in words and text and not refused else None
        mark = "x" if refused else "!" if warned is not None else "ok"
        self.say(mark, refused or judge_of(warned) or "Enter takes it; Esc leaves it as it was.")

    def on_form_stepped(self, event: Form.Stepped) -> None:
        row = self.form.row
        if row is not None and row.value.isdecimal():
            repeats = str(max(1, min(MOST_REPEATS, int(row.value) + event.by)))
            self.done(self.draft.edit(change_of("repeats", repeats, event.key.partition(" ")[2])))


def judge_of(finding: Finding | UserError | None) -> str:
    """A finding as a sentence for the pane below; "" for none."""
    return "" if finding is None else str(finding)
