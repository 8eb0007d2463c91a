"""The settings by prompts: a preset, then Basic, Advanced and Samples as the guide has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from engine.plan.errors import UserError
from engine.plan.option import Option
from engine.plan.preset_changes import changes
from engine.plan.presets import Preset
from lora_tui import preset_shelf
from lora_tui.estimate_texts import lines
from lora_tui.option_texts import PAGES, complaint, finding_of, mended_in_words, shown_value
from lora_tui.option_texts import listed as options_of
from lora_tui.preset_shelf import counted, title_of, told
from lora_tui.prompts.exporting import export_settings
from lora_tui.prompts.importing import take_file
from lora_tui.prompts.planning import plan_for_gpu
from lora_tui.prompts.step import PlainStep
from lora_tui.prompts.talk import number_in
from lora_tui.steps import StepName

FIRST = 2  # the number of the first option; before it stands the preset


def listed() -> list[Option]:
    """The options in the order of their rows."""
    return [option for page in PAGES for option in options_of(page)]


class SettingsStep(PlainStep):
    NAME: ClassVar[StepName] = "settings"
    WORDS: ClassVar[Mapping[str, str]] = {
        "advanced": "read the advanced options",
        "samples": "read the options of the sample pictures",
        "changed": "read those that differ from the preset",
        "import": "take settings from a file of kohya's programs or from a LoRA, such as: import lora.json",
        "export": "write these settings as files for kohya's sd-scripts, such as: export FOLDER",
        "plan": "plan for another GPU, such as: plan RTX 3060 12 GB; plan here is this machine again",
        "save": "save these settings as a preset of your own, such as: save my faces",
        "memory": "read how much GPU memory it takes, and what would save some",
    }

    def tell(self) -> None:
        self.talk.say("Preset and basic options. What you do not change is as the preset says.")
        self.talk.say(f"1. Start from: {title_of(self.draft.project.preset)}")
        self._read("basic")
        for number, option in enumerate(listed(), FIRST):
            if (found := finding_of(option, self.survey)) is not None:
                self.talk.say(f"Warning, row {number}: {found}")

    def do_advanced(self, rest: str) -> None:
        self._read("advanced")

    def do_samples(self, rest: str) -> None:
        self._read("samples")

    def do_memory(self, rest: str) -> None:
        found = self.survey.estimate if self.survey is not None else None
        if found is None:
            self.talk.say("The practice model takes hardly any GPU memory.")
        for text in lines(found) if found is not None else ():
            self.talk.say(text)

    def do_changed(self, rest: str) -> None:
        found = [self._line(n, o) for n, o in enumerate(listed(), FIRST) if self._changed(o)]
        for line in found or ["None: all is as the preset says."]:
            self.talk.say(line)

    def _read(self, page: str) -> None:
        for number, option in enumerate(listed(), FIRST):
            if option.page == page:
                self.talk.say(self._line(number, option))

    def _changed(self, option: Option) -> bool:
        return option.name in self.draft.typed or self.draft.changed(option.name)

    def _line(self, number: int, option: Option) -> str:
        value = shown_value(option, self.draft.value(option.name))
        changed = self.draft.changed(option.name)
        usual = f", changed; the preset says {shown_value(option, self.draft.usual(option.name))}" if changed else ""
        typed = self.draft.typed.get(option.name)
        kept = f". You typed {typed}, which cannot be used" if typed is not None else ""
        return f"{number}. {option.title}: {value}{usual}{kept}"

    def choose(self, number: int) -> None:
        found = listed()
        if number == 1:
            self._choose_preset()
        elif FIRST <= number < FIRST + len(found):
            self._edit(found[number - FIRST])
        else:
            self.talk.say(f"There is no row {number}. They go from 1 to {FIRST + len(found) - 1}.")

    def do_import(self, rest: str) -> None:
        take_file(self, rest or self.talk.ask("The path of the file"))

    def do_export(self, rest: str) -> None:
        export_settings(self, rest)

    def do_plan(self, rest: str) -> None:
        plan_for_gpu(self, rest)

    def do_save(self, rest: str) -> None:
        name = rest or self.talk.ask("The name of your preset")
        if not name:
            return
        try:
            path = self._saved(name)
        except UserError as error:
            self.talk.say(f"Error: {error}")
            return
        if path is not None:
            self.talk.say(f"Saved as {path.stem}: {path}. Base model, names, paths and words are not part of it.")

    def _saved(self, name: str) -> Path | None:
        """The file; None where somebody would rather keep the older one."""
        try:
            preset_shelf.check_name(name)
        except UserError as error:
            if error.code != "exists":
                raise
            if not self.talk.sure(f"You have a preset {name} already. Replace it?"):
                return None
        when = self.talk.ask(preset_shelf.WHEN, "saves it without")
        return preset_shelf.save(name, self.draft.settings(), when, force=True)

    def _choose_preset(self) -> None:
        found, broken = preset_shelf.shelf()
        for place, preset in enumerate(found, 1):
            own = " (your own)" if preset.own else ""
            self.talk.say(f"{place}. {preset.title}{own}. {preset.when}")
        for file in broken:
            self.talk.say(f"{file.name} cannot be used: {file.why}")
        while text := self.talk.ask("Its number", "keeps it as it is"):
            if (number := number_in(text)) is not None and 1 <= number <= len(found):
                self._take_preset(found[number - 1])
                return
            self.talk.say(f"Error: a number from 1 to {len(found)}, please.")

    def _take_preset(self, preset: Preset) -> None:
        """Say what it changes, and take it if that is wanted."""
        what = changes(self.draft.project, preset)
        self.talk.say(f"{preset.title} {counted(what)}{':' if what else ' here.'}")
        for change in what:
            title, before, after = told(change)
            self.talk.say(f"{title}: {before}, then {after}")
        self.talk.say("Base model, names, paths and words of this project stay as they are.")
        for note in preset.notes:
            self.explain(note)
        if self.talk.sure("Take it?"):
            self.edited(self.draft.take_preset(preset), f"The settings start from {preset.title} now.")

    def _edit(self, option: Option) -> None:
        self.explain(option.help)
        guide = f" The guide: {option.guide}." if option.guide else ""
        usual = shown_value(option, self.draft.usual(option.name))
        self.explain(f"Usual: {option.usual}.{guide} The preset says {usual}. Its name is {option.name}.", usual)
        found = finding_of(option, self.survey)
        if found is not None:
            self.talk.say(f"Warning: {found}")
        mends = f", m for {mended_in_words(found)}" if found is not None and found.value is not None else ""
        now = shown_value(option, self.draft.value(option.name))
        known = [*option.choices, option.otherwise] if option.kind == "open" else option.choices
        choices = f" ({', '.join(known)})" if known else ""
        question = f"New value{choices}; d takes the preset's{mends}"
        while text := self.talk.ask(question, f"keeps {now}"):
            if text.casefold() == "d" and "d" not in option.choices:
                self.edited(self.draft.reset(option.name), f"{option.title} is {usual}, as the preset says.")
                return
            if text.casefold() == "m" and mends and found is not None:
                self.edited(self.draft.set_values(found.changes), f"Now {mended_in_words(found)}.")
                return
            word = {"on": "true", "off": "false"}.get(text.casefold(), text) if option.kind == "switch" else text
            trouble = self.draft.set(option.name, word)
            if trouble is None or trouble is self.draft.trouble:
                now = shown_value(option, self.draft.value(option.name))
                self.edited(trouble, f"{option.title} is {now} now.")
                return
            self.talk.say(f"Error: {complaint(option, word) or trouble} It is kept here and not used.")
