"""The trainings of the project by prompts: how each stands, hearing how it goes, and stopping it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from engine.plan.errors import UserError
from engine.runs import control
from engine.runs.folder import RunFolder
from engine.runs.lock import look
from engine.runs.state import observe
from lora_tui.plain import summary
from lora_tui.prompts.step import PlainStep, Row
from lora_tui.prompts.watching import watch
from lora_tui.steps import StepName

SHOWN = 10  # runs, the newest first


class TrainingStep(PlainStep):
    NAME: ClassVar[StepName] = "training"
    WORDS: ClassVar[Mapping[str, str]] = {
        "stop": "have the newest training save its state and stop",
        "pause": "hold the newest training after this step",
        "resume": "let it go on after a pause",
    }

    def tell(self) -> None:
        if not self._runs():
            self.talk.say(self.walk.wizard.gone or "No training has been started yet. Step 7, Review, starts it.")
        else:
            self.talk.say("The trainings, the newest first. A number tells how it goes.")

    def rows(self) -> list[Row]:
        return [Row(self._line(run), partial(watch, run, self.talk)) for run in self._runs()]

    def _runs(self) -> list[RunFolder]:
        wizard = self.walk.wizard
        return [run for run in reversed(wizard.runs()) if wizard.kind(run) != "other"][:SHOWN]

    def _line(self, run: RunFolder) -> str:
        dry = "dry " if self.walk.wizard.kind(run) == "dry run" else ""
        return f"{dry}{summary(run, observe(run))}"

    def do_stop(self, rest: str) -> None:
        runs = self._runs()
        dry = bool(runs) and self.walk.wizard.kind(runs[0]) == "dry run"  # which saves nothing
        self._ask("stop", "Asked it to stop." if dry else "Asked it to save and stop.")

    def do_pause(self, rest: str) -> None:
        self._ask("pause", "Asked it to pause.")

    def do_resume(self, rest: str) -> None:
        self._ask("resume", "Asked it to go on.")

    def _ask(self, command: str, said: str) -> None:
        runs = self._runs()
        if not runs or look(runs[0]).status != "held":
            self.talk.say("No training is at work now.")
            return
        try:
            control.send(runs[0], command)
        except (UserError, OSError) as error:
            self.talk.say(f"Error: {error}")
        else:
            self.talk.say(said)
