"""Everything once more by prompts before it starts, a dry run, and the start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from engine.plan.errors import UserError
from engine.runs.job import DRY_RUN_STEPS
from lora_tui.aside import or_error
from lora_tui.expected_time import expected_pace, expected_words
from lora_tui.option_texts import typed_findings
from lora_tui.prompts.step import PlainStep
from lora_tui.prompts.watching import watch
from lora_tui.starting import as_command, disk_sentence, fact, hindrance, launch, lora_name
from lora_tui.steps import STEPS, StepName
from lora_tui.tried import last_try


class ReviewStep(PlainStep):
    NAME: ClassVar[StepName] = "review"
    WORDS: ClassVar[Mapping[str, str]] = {
        "start": "start the training; it goes on when you leave",
        "try": f"do {DRY_RUN_STEPS} steps and stop: shows that all works, and how long it will take",
    }

    def tell(self) -> None:
        if gone := self.walk.wizard.gone:  # what is known of it is no longer so
            self.talk.say(f"{gone}.")
            return
        survey, standings = self.survey, self.walk.standings()
        for step in STEPS[:6]:
            mark = {"attention": " (needs attention)", "todo": " (to do)"}.get(standings[step.name].mark, "")
            self.talk.say(f"{step.title}{mark}: {fact(step.name, self.walk.wizard) or 'not known yet'}.")
        if survey.dataset is not None:
            self.talk.say(f"{survey.dataset.steps.total:,} steps.")
            for line in survey.dataset.steps.explanation.splitlines():
                self.talk.say(line)
        self.talk.say(f"The LoRA will be called {lora_name(self.draft)}.safetensors.")
        if survey.disk is not None:
            self.talk.say(disk_sentence(self.draft, survey.disk))
        self.talk.say(f"As a command: {as_command(self.draft)}")
        steps = survey.dataset.steps.total if survey.dataset is not None else None
        if survey.settings is not None and (tried := last_try(self.draft.project, survey.settings, steps)):
            self.talk.say(tried)
        elif survey.settings is not None and steps:
            pace = expected_pace(self.draft.path, survey.settings, survey.base, survey.dataset)
            if pace is not None:
                self.talk.say(expected_words(pace, steps))
        for finding in [*survey.blocking, *typed_findings(self.draft.typed)]:
            self.talk.say(f"Error: {finding}")
        for finding in survey.warnings:
            self.talk.say(f"Warning: {finding}")

    def do_start(self, rest: str) -> None:
        self._begin()

    def do_try(self, rest: str) -> None:
        self._begin(dry_run=DRY_RUN_STEPS)

    def _begin(self, **arguments: object) -> None:
        stands = hindrance(self.draft, self.survey)
        if stands is not None and stands.final:
            self.talk.say(f"Error: {stands.why}")
            return
        if stands is not None:
            self.talk.say(f"{stands.title} {stands.why}")
            if not self.talk.sure("Train all the same?"):
                self.talk.say("Not started.")
                return
        self.talk.say("Starting the engine.")
        run = or_error(partial(launch, self.draft, **arguments), "The engine could not be started")
        if isinstance(run, UserError):
            self.talk.say(f"Error: {run}")
            return
        self.walk.go("training" if not arguments else self.NAME)
        watch(run, self.talk)
