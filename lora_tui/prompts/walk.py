"""The steps one after the other, and the words that work at every one of them."""

from __future__ import annotations

import threading
from pathlib import Path

from engine.plan.errors import UserError, plural
from lora_tui.option_texts import typed_findings
from lora_tui.prompts.base_model import BaseModelStep
from lora_tui.prompts.captions import CaptionsStep
from lora_tui.prompts.pictures import PicturesStep
from lora_tui.prompts.project import ProjectStep
from lora_tui.prompts.regularisation import RegularisationStep
from lora_tui.prompts.results import ResultsStep
from lora_tui.prompts.review import ReviewStep
from lora_tui.prompts.settings import FIRST, SettingsStep, listed
from lora_tui.prompts.step import PlainStep
from lora_tui.prompts.talk import BackError, LeaveError, Talk, number_in
from lora_tui.prompts.training import TrainingStep
from lora_tui.steps import STEPS, Mark, Standing, StepName, neighbour, number
from lora_tui.survey import Survey
from lora_tui.wizard import Wizard

WAIT_SECONDS = 0.1
MARKS: dict[Mark, str] = {"done": "done", "attention": "needs attention", "todo": "to do", "on": "on"}
WORDS = {
    "a number": "choose the row with that number: you hear what it means, and may change it",
    "n, or Enter alone": "the next step",
    "b": "the step before",
    "g 5, or g captions": "go to a step",
    "s": "all steps, and how they stand",
    "w": "everything that was found, with its remedy",
    "u": "take back the last change of the project",
    "/ memory": "find options by their name or by what they do, and change one",
    "l": "this step once more from its beginning",
    "?": "these words",
    "q": "leave; everything is saved, and a training goes on. Also the answer to any question",
}
_KINDS: tuple[type[PlainStep], ...] = (
    ProjectStep, PicturesStep, RegularisationStep, CaptionsStep, BaseModelStep, SettingsStep, ReviewStep, TrainingStep,
    ResultsStep,
)  # fmt: skip


class Walk:
    """One open project."""

    def __init__(self, path: Path, talk: Talk) -> None:
        """Raises UserError as `Wizard` does."""
        self.talk = talk
        self._news = threading.Event()
        self.wizard = Wizard(path, self._news.set)
        self.steps: dict[StepName, PlainStep] = {kind.NAME: kind(self) for kind in _KINDS}
        self.here = self.wizard.left_at

    def survey(self) -> Survey:
        """What was found of the project as it is now. Says how far it is where that takes long."""
        while self.wizard.looking or self.wizard.survey is None:
            self._news.wait(WAIT_SECONDS)
            self._news.clear()
            if self.wizard.looked and self.wizard.looking:
                self.talk.say_sometimes(f"{self.wizard.looked}.")
        return self.wizard.survey

    def standings(self) -> dict[StepName, Standing]:
        self.survey()
        return self.wizard.standings()

    def go(self, step: StepName) -> None:
        self.here = step
        self.wizard.leave_at(step)

    # ----------------------------------------------------------------------------------------------------- the walk
    def run(self) -> None:
        """Until somebody leaves, by LeaveError or Ctrl-C."""
        self.talk.say(f"Project {self.wizard.draft.project.name}, in {self.wizard.draft.path}.")
        self.talk.say("Everything is saved as you go. Type ? and Enter to hear what you may type.")
        if changed := ", ".join(self.wizard.draft.recovered):
            self.talk.say(f"Written now what waited since the last time: {changed}.")
        while True:
            at = self.here
            self.wizard.leave_at(at)
            self._tell()
            try:
                while self.here == at and not self._one_answer():
                    pass
            except LeaveError:
                if not self._stays():
                    raise

    def _stays(self) -> bool:
        """Whether somebody who wanted to leave does not, as changes would be lost."""
        draft = self.wizard.draft
        if not draft.unkept:
            return False
        self.talk.say(f"Error: {draft.trouble_words}")
        try:
            return not self.talk.sure("Leave, and lose the changes?")
        except BackError:
            return True

    def _tell(self) -> None:
        """A step from its beginning."""
        self.wizard.tick()  # somebody else may have edited the project
        step, stands = self.steps[self.here], self.standings()[self.here]
        known = STEPS[number(self.here) - 1]
        self.talk.say()
        self.talk.say(f"Step {number(self.here)} of {len(STEPS)}: {known.title}. {known.asks}")
        missing = step.missing(stands)
        self.talk.say(f"This step: {MARKS[stands.mark]}" + (f": {missing}" if missing else "."))
        if self.wizard.draft.trouble is not None:
            self.talk.say(f"Error: {self.wizard.draft.trouble_words}")
        step.tell()
        for place, row in enumerate(step.rows(), 1):
            self.talk.say(f"{place}. {row.says}")
        for word, what in step.WORDS.items():
            self.talk.say(f"{word}: {what}.")

    def _one_answer(self) -> bool:
        """Ask once and obey; whether the step is to be told again."""
        answer = self.talk.prompt(f"{STEPS[number(self.here) - 1].title}>")
        self.wizard.tick()
        try:
            return self._answered(answer)
        except BackError:
            self.talk.say("Back.")
            return False

    def _answered(self, answer: str) -> bool:
        word, _, rest = answer.partition(" ")
        word = word.casefold()
        step = self.steps[self.here]
        if (chosen := number_in(word)) is not None and not rest:
            step.choose(chosen)
            return False
        return not step.do(word, rest.strip()) and self._obey(word, rest.strip())

    def _obey(self, word: str, rest: str) -> bool:
        """A word that works everywhere; whether the step is to be told again."""
        if word in ("", "n", "next"):
            self._go_by(1)
        elif word in ("b", "back"):
            self._go_by(-1)
        elif word in ("g", "go"):
            self._go_to(rest)
        elif word in ("s", "steps"):
            self._say_steps()
        elif word in ("w", "warnings"):
            self._say_found()
        elif word in ("u", "undo"):
            self.take_back()
        elif word.startswith("/"):
            self._find(f"{word[1:]} {rest}".strip())
        elif word in ("l", "list"):
            return True
        elif word in ("?", "help"):
            self._help()
        elif word in ("quit", "leave"):  # q alone leaves wherever something is asked
            raise LeaveError
        else:
            self.talk.say("That is nothing that can be done here. Type ? to hear what can.")
        return False

    def _go_by(self, by: int) -> None:
        there = neighbour(self.here, by)
        if there == self.here:
            self.talk.say(f"This is the {'last' if by > 0 else 'first'} step. Type q to leave, or s to hear all steps.")
        self.go(there)

    def _go_to(self, name: str) -> None:
        wanted = name.casefold()
        for place, step in enumerate(STEPS, 1):
            if wanted and (wanted == str(place) or step.title.casefold().startswith(wanted) or wanted == step.name):
                self.go(step.name)
                return
        self.talk.say("Go to which step? Type g and its number or name, such as g 4. These are the steps:")
        self._say_steps()

    def _say_steps(self) -> None:
        standings = self.standings()
        for place, step in enumerate(STEPS, 1):
            stands = standings[step.name]
            here = ", you are here" if step.name == self.here else ""
            missing = f": {stands.missing}" if stands.missing else "."
            self.talk.say(f"{place} {step.title}{here}: {MARKS[stands.mark]}{missing}")

    def _say_found(self) -> None:
        survey = self.survey()
        found = [("Error", finding) for finding in survey.blocking]
        found += [("Error", finding) for finding in typed_findings(self.wizard.draft.typed)]
        found += [("Warning", finding) for finding in survey.warnings]
        found += [("Note", finding) for finding in survey.notes]
        for kind, finding in found:
            self.talk.say(f"{kind}: {finding}")
        self.talk.say(f"That was {plural(len(found), 'thing')}." if found else "Nothing: all is in order.")

    def take_back(self) -> None:
        """The last change of the project."""
        if not self.wizard.draft.undoable:
            self.talk.say("There is nothing to take back.")
            return
        what, trouble = self.wizard.draft.undo()
        self.wizard.edited(trouble)
        self.talk.say(f"Error: {trouble}" if trouble is not None else f"Taken back: {what}.")

    def _find(self, words: str) -> None:
        """Options by their names or by what they do; their rows are those of the settings."""
        wanted = words.casefold().split()
        found = []
        for place, option in enumerate(listed(), FIRST):
            known = f"{option.title} {option.name} {option.words} {option.help}".casefold()
            if wanted and all(word in known for word in wanted):
                found.append(f"{place}. {option.title} ({option.name}): {option.help}")
        for line in found:
            self.talk.say(line)
        if found:
            answer = self.talk.ask("Type the number of one to change it")
            if (chosen := number_in(answer)) is not None:
                self.steps["settings"].choose(chosen)
            elif answer:
                self.talk.say("That is no number.")
        else:
            self.talk.say("No option is found by that. Try one word, such as / memory or / overfitting.")

    def _help(self) -> None:
        own = self.steps[self.here].WORDS
        for word, what in {**own, **WORDS}.items():
            self.talk.say(f"{word}: {what}.")


def open_project(path: Path, talk: Talk) -> Walk | None:
    """The walk of a project, or None where there is none; then it has been said why."""
    try:
        return Walk(path, talk)
    except UserError as error:
        talk.say(f"Error: {error}")
        return None
