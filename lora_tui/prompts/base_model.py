"""The base model by prompts: one of those on this machine, or a path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from engine.plan.byte_counts import size
from engine.plan.found_models import Found, found_models
from lora_tui.downloads import wanted
from lora_tui.model_choice import OPTION, name_of, take_model, used_lately
from lora_tui.paths import clean
from lora_tui.prompts.downloading import offered
from lora_tui.prompts.step import PlainStep, Row
from lora_tui.steps import Standing, StepName


class BaseModelStep(PlainStep):
    NAME: ClassVar[StepName] = "model"
    WORDS: ClassVar[Mapping[str, str]] = {
        "path": "type the path of a .safetensors file or of a folder, or what is to be downloaded"
    }
    _found: list[Found] | None = None

    def tell(self) -> None:
        self.explain("The model that the LoRA is trained on and that you will use it with: SDXL, or one made from it.")
        now = str(self.draft.value(OPTION))
        survey = self.survey
        self.talk.say(f"Chosen: {now}." if now else "None is chosen yet.")
        for note in survey.base.notes if survey.base is not None else ():
            self.talk.say(f"Note: {note}")

    def missing(self, standing: Standing) -> str:
        return standing.missing if str(self.draft.value(OPTION)) else "No base model is chosen."

    def rows(self) -> list[Row]:
        return [Row(told(model), partial(self._use, str(model.path))) for model in self._models()]

    def _models(self) -> list[Found]:
        """Those on this machine; looked for once."""
        if self._found is None:
            self.talk.say("Looking for models on this machine.")
            self._found = found_models(self.draft.path, used_lately())
        return self._found

    def do_path(self, rest: str) -> None:
        text = clean(rest or self.talk.ask("Its path, a URL, a name on Hugging Face, or micro for the practice model"))
        if text and wanted(text, self.draft.path):
            came = offered(text, self.talk)
            text = text if came is None else came
        if text:
            self._use(text)

    def _use(self, text: str) -> None:
        taken = take_model(self.draft, text)
        self.edited(taken.trouble, f"Warning: {taken.wrong}" if taken.wrong else taken.said)


def told(model: Found) -> str:
    """A model in one line."""
    kind = f"{model.kind}, {size(model.size)}" if model.size else model.kind
    return f"{name_of(model.path)}: {kind}" + ("" if str(model.path) == name_of(model.path) else f", {model.path}")
