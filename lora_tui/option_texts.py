"""The options of a training as people read and type them: values in words, what is wrong with one, one step further."""

from __future__ import annotations

import math
from collections.abc import Mapping

from engine.plan.errors import Finding, UserError, inert
from engine.plan.option import Option
from engine.plan.option_values import OF_ARGUMENTS
from engine.plan.options import by_name, options
from engine.plan.settings import BETWEEN, parse_text, resolve
from lora_tui.in_rows import in_rows
from lora_tui.steps import findings_of
from lora_tui.survey import Survey

PAGES: dict[str, str] = {"basic": "Basic", "advanced": "Advanced", "samples": "Samples"}
ELSEWHERE = ("pretrained_model_name_or_path",)  # has a step of its own


def listed(page: str) -> list[Option]:
    """The options of a page of the settings, in the order of its rows."""
    return [option for option in options() if option.page == page and option.name not in ELSEWHERE]


def shown_value(option: Option, value: object) -> str:
    """A value as people read it."""
    if option.name == "sample_prompts" and not value:
        return "the guide's: TRIGGER, a photo of a CLASS"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        texts = [str(item) for item in value]
        return inert(" ".join(texts) if option.name in OF_ARGUMENTS else BETWEEN.join(texts)) or "(none)"
    if isinstance(value, float):
        return f"{value:g}" if not value.is_integer() else f"{value:.1f}"
    return inert(value) if str(value) else "(empty)"


def typed_value(option: Option, value: object) -> str:
    """A value as it is edited."""
    if isinstance(value, list | tuple):
        texts = [str(item) for item in value]
        if option.name in OF_ARGUMENTS:
            return " ".join(texts)
        return BETWEEN.join(texts) if not any(BETWEEN in text for text in texts) else str(texts)
    return f"{value:g}" if isinstance(value, float) else str(value)


def complaint(option: Option, text: str) -> str:
    """What is wrong with a text as the value of an option; "" for nothing."""
    try:
        resolve({option.name: parse_text(option.name, text)})
    except UserError as error:
        return in_rows(str(error))
    return ""


def stepped(option: Option, value: object, by: int) -> object:
    """The value one step further: the other side of a switch, the next choice, the next multiple of a number's step."""
    if isinstance(value, bool):
        return not value
    if option.choices:
        if value not in option.choices:  # a text of its own: on to the first, or back to the last of those known
            return option.choices[0 if by > 0 else -1]
        return option.choices[(option.choices.index(str(value)) + by) % len(option.choices)]
    if not isinstance(value, int | float):
        return value
    step = option.step
    places = (math.floor if by > 0 else math.ceil)(value / step + (1e-9 if by > 0 else -1e-9))
    found = round((places + by) * step, 6)
    if option.minimum is not None:
        found = max(found, option.minimum)
    if option.maximum is not None:
        found = min(found, option.maximum)
    return int(found) if option.kind == "integer" else float(found)


def finding_of(option: Option, survey: Survey | None) -> Finding | None:
    """What was found of an option and is worth a look; the first."""
    found = findings_of("settings", survey) if survey is not None else []
    return next((finding for finding in found if finding.option == option.name and finding.level != "note"), None)


def mended_in_words(finding: Finding) -> str:
    """What its remedy sets: the value, and the options that change with it."""
    also = [f"{by_name()[name].title} {shown_value(by_name()[name], value)}" for name, value in finding.also]
    own = by_name().get(finding.option or "")
    return ", ".join([str(finding.value) if own is None else shown_value(own, finding.value), *also])


def typed_findings(typed: Mapping[str, str]) -> list[Finding]:
    """What was typed for options and is no value for them."""
    found = []
    for name, text in typed.items():
        option = by_name()[name]
        why = complaint(option, text) or f"{option.title} has no value yet that can be used."
        found.append(Finding("typed", why, "It is kept in its row, and not used."))
    return found
