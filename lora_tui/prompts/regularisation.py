"""The regularisation pictures by prompts: how many and why, and the ways to have them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from engine.plan.class_balance import uneven_classes
from engine.plan.errors import UserError, plural
from engine.plan.folders import Kind
from engine.plan.job_options import JobTable, job_options
from engine.plan.preservation_checks import OPTION as PRESERVES
from engine.plan.regularisation import classes_of, explanation
from engine.runs.job import Job
from engine.runs.state import RunView
from lora_tui.aside import or_error
from lora_tui.explanations import ABOUT
from lora_tui.follow import POLL_SECONDS, count_interrupts
from lora_tui.in_rows import in_rows
from lora_tui.job_edits import change_of, value_of
from lora_tui.job_runs import ask_to_stop
from lora_tui.option_texts import shown_value
from lora_tui.progress import at_work
from lora_tui.project_edits import left_out_too
from lora_tui.prompts.pictures import PicturesStep
from lora_tui.regularising import (
    Outlook,
    begin_captions_of,
    fetch_job,
    how_over,
    launch,
    make_job,
    outlook,
    usual_value,
)
from lora_tui.regularising import at_work as run_at_work
from lora_tui.steps import StepName, number

TABLE: JobTable = "regularising"


class RegularisationStep(PicturesStep):
    NAME: ClassVar[StepName] = "regularisation"
    KIND: ClassVar[Kind] = "reg"
    WORDS: ClassVar[Mapping[str, str]] = {
        "make": "make what is missing with the base model; it goes on when you leave",
        "options": "read how they are made; options and a number changes one",
        "add": "take pictures over from a folder",
        "fetch": "fetch pictures of a public data set on Hugging Face",
        "without": "hold the class without pictures, or not; each step takes 2.3 to 2.6 times as long",
        "none": "leave all pictures that are there out of the training; the files stay",
        "stop": "stop making or fetching them; what is there stays",
        **{word: PicturesStep.WORDS[word] for word in ("copies", "wait", "all")},
    }

    def tell(self) -> None:
        self.explain(ABOUT["reg"])
        known = self._outlook()
        if known is None:
            return
        for need in known.needs:
            for sentence in explanation(need):
                self.talk.say(sentence)
        if (uneven := uneven_classes(known.needs)) is not None:
            self.talk.say(in_rows(str(uneven)))
        if any(need.there for need in known.needs):
            self._say_remarkable()
        if known.missing:
            self.talk.say(f"make draws {known.in_words()}.")
        if self.draft.value(PRESERVES):
            self.talk.say("The class is held without pictures; without turns that off.")
        if run_at_work(self.draft.path) is not None:
            self.talk.say("Pictures are being made or fetched now; stop ends that.")

    def _outlook(self) -> Outlook | None:
        survey = self.survey
        if survey.dataset is None or survey.settings is None:
            return None
        known = or_error(
            partial(outlook, self.draft.project, survey.settings, survey.dataset, survey.base),
            "What is needed could not be worked out",
        )
        if isinstance(known, UserError):
            self.talk.say(f"Error: {known}")
            return None
        return known

    def do_make(self, rest: str) -> None:
        known, survey = self._outlook(), self.survey
        if known is None or survey.settings is None:
            self.talk.say("The pictures come first.")
        elif survey.base is None:
            self.talk.say(f"Error: they are drawn with the base model; step {number('model')} chooses one.")
        elif not known.too_large or self.talk.sure("There is not enough room on the disk for all. Make some?"):
            self._begin(partial(make_job, self.draft.project, survey.settings, known))

    def do_fetch(self, rest: str) -> None:
        known = self._outlook()
        what = rest.strip() or self.talk.ask("Which data set? owner/name, or owner/name/folder")
        if known is not None and what:
            self._begin(partial(fetch_job, self.draft.project, what, known, self.ask_class()))

    def ask_class(self) -> str:
        known = or_error(partial(classes_of, self.draft.project), "The folders could not be read")
        if isinstance(known, UserError) or len(known) < 2:
            return ""
        classes = {name.casefold(): name for name in known}
        while word := self.talk.ask(f"What do they show, {' or '.join(known)}?", f"means {known[0]}"):
            if word.casefold() in classes:
                return classes[word.casefold()]
            self.talk.say(f"{word} is not one of them.")
        return known[0]

    def _begin(self, job: Callable[[], Job]) -> None:
        project = self.draft.project
        run = or_error(lambda: launch(project, job()), "The engine could not be started")
        if isinstance(run, UserError):
            self.talk.say(f"Error: {run}")
            return
        with count_interrupts() as presses:
            self.talk.say("You hear how it goes. Ctrl-C ends that; the work goes on.")
            view = RunView(run)
            while not (seen := view.refresh()).over and not presses():
                self.talk.say_sometimes(f"{at_work(seen)}.")
                time.sleep(POLL_SECONDS)
        self.talk.say(how_over(run, seen)[1] if seen.over else "You hear no more of it. The work goes on.")
        self.walk.wizard.look_again()
        settings = self.survey.settings
        if seen.state == "finished" and settings is not None:
            describing = or_error(partial(begin_captions_of, project, settings, run), "The captions could not be begun")
            if isinstance(describing, UserError):
                self.talk.say(f"Error: {describing}")
            elif describing is not None:
                self.talk.say(f"Their captions are being written now: step {number('captions')} tells of it.")

    def do_stop(self, rest: str) -> None:
        run = run_at_work(self.draft.path)
        if run is None:
            self.talk.say("Nothing is being made or fetched.")
            return
        mark, said = ask_to_stop(run)
        self.talk.say(f"Error: {said}" if mark == "x" else said)

    def do_without(self, rest: str) -> None:
        on = not self.draft.value(PRESERVES)
        self.edited(
            self.draft.set_value(PRESERVES, 1.0 if on else 0.0),
            "The class is held without pictures. u takes it back." if on else "The class is not held any more.",
        )

    def do_none(self, rest: str) -> None:
        dataset = self.survey.dataset
        used = dataset.used_of("reg") if dataset is not None else ()
        if not used:
            self.talk.say("There are none that would be trained.")
        elif self.talk.sure(f"Leave {plural(len(used), 'regularisation picture')} out of the training?"):
            trouble = self.draft.edit(left_out_too(picture.path for picture in used))
            self.edited(trouble, "Left out; the files stay. u takes it back.")

    def do_options(self, rest: str) -> None:
        known = self._outlook()
        if known is None:
            return
        names = list(job_options(TABLE))
        chosen = rest.strip()
        if chosen.isdecimal() and 1 <= int(chosen[:4]) <= len(names):
            self._edit(names[int(chosen[:4]) - 1], known)
            return
        for place, name in enumerate(names, 1):
            option = job_options(TABLE)[name]
            shown = shown_value(option, getattr(known.options, name))
            if name == "resolution" and not known.options.resolution:
                shown = "as trained"
            self.talk.say(f"{place}. {option.title}: {shown}")
        self.talk.say("options and a number changes one, for example options 2.")

    def _edit(self, name: str, known: Outlook) -> None:
        option = job_options(TABLE)[name]
        self.explain(option.help)
        while text := self.talk.ask(option.title, f"keeps {shown_value(option, getattr(known.options, name))}"):
            try:
                value = value_of(TABLE, name, text)
            except UserError as error:
                self.talk.say(f"Error: {error}")
                continue
            self.edited(self.draft.edit(change_of(TABLE, name, value, usual_value(name, self.survey.base))))
            return
