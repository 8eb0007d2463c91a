"""Choosing the base model: it is recognised at once by its header, and the preset that suits it comes along."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan.base_model import BUILT_IN, BaseModel, recognise
from engine.plan.errors import UserError
from engine.plan.hub_cache import name_of_snapshot
from engine.plan.project import Project
from engine.plan.sources import source_of
from engine.runs import downloads
from lora_tui import recent
from lora_tui.draft import Draft

_HALF_A_PATH = ("no-base-model", "not-found", "not-readable", "not-downloaded")
OPTION = "pretrained_model_name_or_path"


@dataclass(frozen=True)
class Taken:
    """What came of it. trouble: why it could not be saved. said: what was done. wrong: why it cannot be trained on."""

    trouble: UserError | None
    said: str = ""
    wrong: str = ""


def take_model(draft: Draft, text: str) -> Taken:
    """Take a model; with the practice model its own settings come along, and go again with another one."""
    if not text:
        return Taken(draft.reset(OPTION))
    try:
        if "://" in text:
            source_of(text)
    except UserError as error:  # a token in it would be written into project.toml
        return Taken(None, wrong=str(error))
    try:
        base = recognise(text, draft.path)
    except UserError as error:
        return Taken(draft.set_value(OPTION, text), wrong=f"{error} It is noted down all the same.")
    trouble = draft.set_value(OPTION, text)
    said = f"{name_of(Path(text))}: {recognised(base)}."
    preset = fitting_preset(draft.project.preset, base)
    if preset != draft.project.preset:

        def change(project: Project) -> None:
            project.preset = preset

        trouble = draft.edit(change)
        said = f"The settings start from the preset {preset} now: it fits this model."
    return Taken(trouble, said)


def judged(draft: Draft, text: str) -> tuple[Literal["ok", "x"], str] | None:
    """What a path leads to, as (mark, sentence); None where that is nothing, or a folder on the way, as half a path."""
    try:
        return "ok", f"{name_of(Path(text))}: {recognised(recognise(text, draft.path))}. Enter takes it."
    except UserError as error:
        half = error.code in _HALF_A_PATH or (error.code == "incomplete" and not Path(text).suffix)
        return None if half else ("x", str(error))


def fitting_preset(preset: str | None, base: BaseModel) -> str | None:
    """The preset that is to be used with a model, if `preset` was used so far."""
    return "demo" if base.size == "micro" else "guide" if preset == "demo" else preset


def recognised(base: BaseModel) -> str:
    """What a model is, for people."""
    if base.kind == "pickle":
        return "a pickle file; what is in it is found out when the training begins"
    if base.prediction_type != "epsilon":
        return f"an SDXL model with {base.prediction_in_words}, which is trained as such"
    if base.size == "micro":
        return "the practice model, for trying things out"
    return "an SDXL model, as it should be"


def name_of(path: Path) -> str:
    """As people call a model."""
    return BUILT_IN if str(path) == BUILT_IN else name_of_snapshot(path) or path.name


def used_lately() -> list[Path]:
    """The base models that were downloaded, and those of the projects that were used lately."""
    found = downloads.paths()
    for folder in recent.projects()[:10]:
        with contextlib.suppress(UserError, OSError):
            text = str(Project.open(folder).settings.get(OPTION, ""))
            if text and text != BUILT_IN and Path(text).is_absolute():
                found.append(Path(text))
    return found
