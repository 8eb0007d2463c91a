"""The first step by prompts: name, trigger word, class, and how often the pictures are seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from engine.plan.folders import find_folders
from engine.plan.repeats import Advice, advise
from engine.plan.trigger import judge
from lora_tui.explanations import ABOUT
from lora_tui.project_edits import change_of, refusal, repeats_of
from lora_tui.prompts.step import PlainStep, Row
from lora_tui.steps import StepName
from lora_tui.wished_steps import wish_for, wished_steps


class ProjectStep(PlainStep):
    NAME: ClassVar[StepName] = "project"
    WORDS: ClassVar[Mapping[str, str]] = {"repeats": "how the recommended repeats come about, and set them"}

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
        if advice := self._advice():
            wished = wished_steps(self.draft.beside) is not None
            steps = f"{advice.wished:,}" if wished else f"none, {advice.whose} {advice.wished:,}"
            says = f"Steps wished for: {steps}, from which the repeats are recommended"
            rows.append(Row(says, partial(self._wish, advice)))
        return rows

    def _advice(self) -> Advice | None:
        survey = self.survey
        if survey.dataset is None or survey.settings is None:
            return None
        return advise(survey.settings, survey.dataset, wished_steps(self.draft.beside))

    def _wish(self, advice: Advice) -> None:
        self.explain(ABOUT["wish"])
        while text := self.talk.ask("How many steps", "keeps it"):
            if not (refused := wish_for(self.draft.beside, text)):
                break
            self.talk.say(f"Error: {refused}")
        self.do_repeats("")

    def do_repeats(self, rest: str) -> None:
        advice = self._advice()
        if advice is None:
            self.talk.say("There are no pictures yet.")
            return
        for said in advice.lines:
            self.talk.say(said)
        if advice.followed:
            self.talk.say("The repeats are so already.")
        elif self.talk.sure("Set these repeats?"):
            self.edited(self.draft.edit(repeats_of(advice.repeats)))

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
