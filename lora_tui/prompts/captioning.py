"""Automatic captions by prompts: the options, the captioner's download, and each caption as it comes."""

from __future__ import annotations

import time

from engine.plan.captioning import AUTO
from engine.plan.errors import UserError
from engine.plan.job_options import job_options
from engine.plan.option import Option
from engine.plan.subjects import Subjects
from engine.runs.captions import DoneReader
from engine.runs.folder import RunFolder
from engine.runs.state import RunView
from lora_tui import captioning
from lora_tui.aside import or_error
from lora_tui.draft import Draft
from lora_tui.follow import POLL_SECONDS, count_interrupts
from lora_tui.job_runs import ask_to_stop
from lora_tui.option_texts import shown_value
from lora_tui.progress import at_work
from lora_tui.prompts.downloading import download
from lora_tui.prompts.talk import Talk, number_in

MORE = "o"


class Captioning:
    """What is asked before, and what is said meanwhile."""

    def __init__(self, draft: Draft, talk: Talk) -> None:
        self._draft, self._talk = draft, talk
        self._options = list(job_options("captioning").values())

    def run(self) -> None:
        """Until the captions are written, or somebody goes back."""
        going = captioning.at_work(self._draft.path)
        if going is not None:
            self._talk.say("Captions are being written already.")
            self._follow(going)
            return
        self._read(basic=True)
        while True:
            found = or_error(self._outlook, "The captions could not be counted")
            self._talk.say(f"Error: {found}" if isinstance(found, UserError) else found)
            answer = self._talk.ask(f"A number changes an option, {MORE} reads the others, start writes the captions")
            if not answer:
                return
            if answer.casefold() == MORE:
                self._read(basic=False)
            elif answer.casefold() in ("s", "start"):
                if self._start():
                    return
            elif (number := number_in(answer)) is not None and 1 <= number <= len(self._options):
                self._edit(self._options[number - 1])
            else:
                self._talk.say(f"There is no {answer} here.")

    def _outlook(self) -> str:
        options, project = captioning.options_of(self._draft.project), self._draft.project
        found = captioning.outlook(project, options, str(self._draft.value("caption_extension")))
        warning = f" Warning: {found.warning}" if found.warning else ""
        subjects = captioning.on_subjects(Subjects.of_project(project))
        return (
            f"{found.sentence}{warning} {subjects}{' ' * bool(subjects)}"
            f"For example: {captioning.example(options, project.trigger, project.class_name)}"
        )

    def _read(self, *, basic: bool) -> None:
        for number, option in enumerate(self._options, 1):
            if (option.page == "basic") == basic:
                self._talk.say(f"{number}. {option.title}: {self._now(option)}")

    def _now(self, option: Option) -> str:
        value = self._draft.project.captioning.get(option.name, option.default)
        if option.name == "model" and value == AUTO:
            base = str(self._draft.value("pretrained_model_name_or_path"))
            return f"{AUTO} ({captioning.meant(AUTO, base, self._draft.path)})"
        return shown_value(option, value)

    def _edit(self, option: Option) -> None:
        self._talk.explain(option.help)
        self._talk.explain(f"Usual: {option.usual}. Its name is {option.name}.")
        known = [*option.choices, option.otherwise] if option.kind == "open" else option.choices
        choices = f" ({', '.join(known)})" if known else ""
        while text := self._talk.ask(f"New value{choices}; d takes the usual one", f"keeps {self._now(option)}"):
            value = option.default if text.casefold() == "d" else text
            trouble = captioning.set_option(self._draft, option.name, value)
            if trouble is None:
                self._talk.say(f"{option.title} is {self._now(option)} now.")
                return
            self._talk.say(f"Error: {trouble}")

    def _start(self) -> bool:
        """Whether it was started, and is over."""

        def missing() -> tuple[str, str]:
            options, settings = captioning.options_of(self._draft.project), self._draft.settings()
            return captioning.download_for(options, settings.pretrained_model_name_or_path, self._draft.path)

        def begin() -> RunFolder:
            options = captioning.options_of(self._draft.project)
            return captioning.begin(self._draft.project, self._draft.settings(), options)[0]

        found = or_error(missing, "It could not be started")
        if isinstance(found, UserError):
            self._talk.say(f"Error: {found}")
            return False
        name, weighs = found
        if name:
            about = f" It has about {weighs}." if weighs else ""
            self._talk.say(f"The captioner {name} is not on this machine yet.{about}")
            if not self._talk.sure("Download it?") or not download(name, self._talk):
                return False
        run = or_error(begin, "It could not be started")
        if isinstance(run, UserError):
            self._talk.say(f"Error: {run}")
            return False
        self._follow(run)
        return True

    def _follow(self, run: RunFolder) -> None:
        self._talk.say("Writing. Ctrl-C stops it; what is written stays.")
        view, reader, stopping = RunView(run), DoneReader(run), False
        with count_interrupts() as presses:
            while not (seen := view.refresh()).over:
                self._tell(reader)
                if presses() and not stopping:
                    stopping = True
                    mark, said = ask_to_stop(run, "Stopping.")
                    self._talk.say(f"Error: {said}" if mark == "x" else said)
                elif not stopping:
                    self._talk.say_sometimes(f"{at_work(seen)}.")
                time.sleep(POLL_SECONDS)
        self._tell(reader)
        mark, said = captioning.how_it_ended(seen)
        self._talk.say(f"Error: {said}" if mark == "x" else said)

    def _tell(self, reader: DoneReader) -> None:
        for done in reader.look():
            if done.state in ("said", "skipped"):
                self._talk.say(f"{done.path.rpartition('/')[2]}: {done.text}")
