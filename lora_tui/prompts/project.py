"""The first step by prompts: name, trigger word, class, and how often the pictures are seen."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from engine.plan.folders import find_folders
from engine.plan.trigger import judge
from lora_tui.explanations import ABOUT
from lora_tui.project_edits import change_of, refusal
from lora_tui.prompts.step import PlainStep, Row
from lora_tui.steps import StepName


class ProjectStep(PlainStep):
    NAME: ClassVar[StepName] = "project"

    def rows(self) -> list[Row]:
        project = self.draft.project
        facts = [("name", "Name", project.name), ("trigger", "Trigger word", project.trigger)]
        facts.append(("class", "Class", project.class_name))
        rows = [Row(f"{label}: {value or 'none yet'}", partial(self._edit, what)) for what, label, value in facts]
        for kind, folder in (("train", project.image_dir), ("reg", project.reg_dir)):
            for found in find_folders(folder, kind, project.repeats)[0]:  # type: ignore[arg-type]
                whose = "your pictures" if kind == "train" else "regularisation"
                says = f"Repeats of {whose}, folder {found.name}: {found.repeats}"
                rows.append(Row(says, partial(self._edit, "repeats", found.name)))
        return rows

    def tell(self) -> None:
        if warned := judge(self.draft.project.trigger, self.draft.project.class_name):
            self.talk.say(f"Warning: {warned}")

    def _edit(self, what: str, folder: str = "") -> None:
        self.explain(ABOUT[what])
        while text := self.talk.ask("New value", "keeps it"):
            if refused := refusal(what, text):
                self.talk.say(f"Error: {refused}")
                continue
            self.edited(self.draft.edit(change_of(what, text, folder)))
            return
        self.talk.say("Kept.")
