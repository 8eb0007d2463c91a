"""The results by prompts: without and with the LoRA, which epoch to keep, and taking it to where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

from engine.plan.errors import UserError
from engine.plan.export import prompt_text, usual_folders
from engine.plan.lora_formats import FORMATS
from lora_tui.aside import or_error
from lora_tui.conversion import export_as
from lora_tui.fetch_home import connection, fetch_line
from lora_tui.loras import (
    FIRST_SEED,
    facts_of,
    first_prompt,
    format_of,
    loras_of,
    prompt_of,
    seed_of,
    start_comparison,
    weight_of,
)
from lora_tui.paths import clean
from lora_tui.prompts.step import PlainStep, Row
from lora_tui.prompts.talk import number_in
from lora_tui.prompts.watching import watch
from lora_tui.steps import StepName

_T = TypeVar("_T")


class ResultsStep(PlainStep):
    NAME: ClassVar[StepName] = "results"
    WORDS: ClassVar[Mapping[str, str]] = {
        "compare": "draw the same prompt without and with the chosen LoRA",
        "export": "copy the chosen LoRA to where you use it",
        "home": "how to fetch it to your own computer over ssh",
    }
    _chosen: Path | None = None

    @property
    def chosen(self) -> Path | None:
        """The LoRA that is compared and copied: the newest, unless another was chosen."""
        known = loras_of(self.draft.project.model_dir)
        return self._chosen if self._chosen in known else known[-1] if known else None

    def tell(self) -> None:
        chosen = self.chosen
        if chosen is None:
            self.talk.say("There is no LoRA yet: they come with the training.")
        else:
            self.talk.say(f"Chosen: {chosen.stem}. A number chooses another one.")

    def rows(self) -> list[Row]:
        known = reversed(loras_of(self.draft.project.model_dir))
        return [Row(f"{path.stem}: {facts_of(path)}", partial(self._choose, path)) for path in known]

    def _choose(self, path: Path) -> None:
        self._chosen = path
        self.talk.say(f"Chosen: {path.stem}.")

    def do_compare(self, rest: str) -> None:
        lora = self.chosen
        if lora is None:
            self.talk.say("There is no LoRA yet.")
            return
        prompt = self._ask("Prompt", first_prompt(self.draft), prompt_of)
        seed = self._ask("Seed", FIRST_SEED, seed_of)
        weight = self._ask("Weight of the LoRA", 1.0, weight_of)
        run = or_error(partial(start_comparison, self.draft, lora, prompt, seed, weight), "It could not be drawn")
        if isinstance(run, UserError):
            self.talk.say(f"Error: {run}")
            return
        watch(run, self.talk)
        sheet = run.output_dir / "comparison.png"
        if sheet.is_file():
            self.talk.say(f"Without and with, side by side: {sheet}")

    def _ask(self, label: str, usual: _T, read: Callable[[str], _T]) -> _T:
        """A value that `read` takes, or the usual one."""
        while text := self.talk.ask(label, f"takes {usual}"):
            try:
                return read(text)
            except UserError as error:
                self.talk.say(f"Error: {error}")
        return usual

    def do_export(self, rest: str) -> None:
        lora = self.chosen
        if lora is None:
            self.talk.say("There is no LoRA yet.")
            return
        name = self.talk.ask("Under which name?", f"takes {lora.stem}") or lora.stem
        places = usual_folders()
        for number, place in enumerate(places, 1):
            self.talk.say(f"{number}. {place.program}: {place.folder}")
        which = "The number of a program, or the path of a folder" if places else "The path of a folder"
        text = self.talk.ask(which)
        if (chosen := number_in(text)) is not None and 1 <= chosen <= len(places):
            self._export(lora, places[chosen - 1].folder, name)
        elif text:
            form = self._ask("Format, kohya or diffusers", FORMATS[0], format_of)
            self._export(lora, Path(clean(text)), name, form)

    def _export(self, lora: Path, folder: Path, name: str, form: str = FORMATS[0]) -> None:
        if form != FORMATS[0]:
            self.talk.say("Converting it, which takes some seconds.")
        copying = partial(export_as, form, lora, folder, name)
        copied = or_error(copying, "It could not be copied")
        if isinstance(copied, UserError) and copied.code == "no-such-folder":
            self.talk.say(f"There is no folder {folder}.")
            if not self.talk.sure("Make it, and copy the LoRA there?"):
                return
            try:
                folder.expanduser().mkdir(parents=True, exist_ok=True)
            except (OSError, ValueError) as error:
                self.talk.say(f"Error: the folder could not be made: {error}")
                return
            copied = or_error(copying, "It could not be copied")
        if isinstance(copied, UserError):
            self.talk.say(f"Error: {copied}")
            return
        self.talk.say(f"Copied: {copied}")
        if form == FORMATS[0]:
            self.talk.say(f"In a prompt of A1111 or Forge write {prompt_text(copied.stem)}")

    def do_home(self, rest: str) -> None:
        lora = self.chosen
        found = fetch_line(lora, connection()) if lora is not None else None
        if lora is None:
            self.talk.say("There is no LoRA yet.")
        elif found is None:
            self.talk.say(f"Nobody is connected by ssh here. The file is {lora}")
        else:
            self.talk.say("Type this on your own computer:")
            self.talk.say(found.command)
            if not found.sure:
                self.talk.say("The address and the port are those that you log in with.")
