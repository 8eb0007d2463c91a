"""Settings for kohya's sd-scripts: a project with its folders and prompts, or a preset, as the files to be written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.errors import Finding, UserError
from engine.plan.option_values import is_plain_name, plain_name

if TYPE_CHECKING:
    from engine.plan.base_model import BaseModel
    from engine.plan.presets import Preset
    from engine.plan.project import Project
    from engine.plan.settings import Settings


FOLDER = "export"
"""In the project: where its settings go unless somebody says another folder."""

WRITES = "A configuration, a dataset file with the folders of this project, and prompts. No file is replaced."


@dataclass(frozen=True)
class Written:
    """The files, the configuration first, and what sd-scripts will not do of what was asked."""

    files: tuple[Path, ...]
    findings: tuple[Finding, ...]

    @property
    def command(self) -> str:
        """What trains with them."""
        return f"accelerate launch sdxl_train_network.py --config_file {self.files[0]}"


def usual_folder(project: Project) -> Path:
    """The folder that is proposed: one in which no earlier export lies."""
    numbered = (f"{FOLDER}-{number}" for number in count(2))
    return next(
        folder
        for name in chain([FOLDER], numbered)
        if not (folder := project.path / name).is_symlink() and (not folder.exists() or _is_empty(folder))
    )


def _is_empty(folder: Path) -> bool:
    try:
        return not any(folder.iterdir())
    except OSError:
        return False


def write_project(project: Project, settings: Settings, folder: Path, name: str = "") -> Written:
    """The settings of a project, its folders and its prompts. Raises UserError as `exporting.write` does."""
    from engine.plan.kohya.exporting import export, write
    from engine.plan.kohya.folders import subsets
    from engine.plan.lora_names import wanted_name

    stem = _stem(name, project.name)
    folders, findings = subsets(project)
    exported = export(
        _with_a_prompt(project, settings),
        folders,
        name=stem,
        title=f"{project.name} (trigger {project.trigger}, class {project.class_name})",
        folder=folder,
        loras=project.model_dir,
        lora=wanted_name(settings, project.name),
        base=_base(project, settings),
    )
    return Written(tuple(write(exported, folder, stem)), (*findings, *exported.findings))


def write_preset(preset: Preset, settings: Settings, folder: Path, name: str = "") -> Written:
    """The settings of a preset. Raises UserError as `exporting.write` does."""
    from engine.plan.kohya.exporting import export, write

    stem = _stem(name, preset.name)
    exported = export(settings, name=stem, title=preset.title, folder=folder)
    return Written(tuple(write(exported, folder, stem)), tuple(exported.findings))


def _stem(name: str, own: str) -> str:
    if name and not is_plain_name(name):
        raise UserError("bad-name", f'Files cannot be called "{name}".', "Use letters, digits and spaces.")
    return name or plain_name(own)


def _with_a_prompt(project: Project, settings: Settings) -> Settings:
    """Where samples are asked for without a prompt, the one that they are drawn with here."""
    from engine.plan.sample_prompts import guide_prompt

    asked = settings.sample_every_n_steps or settings.sample_every_n_epochs or settings.sample_at_first
    if settings.sample_prompts or not asked:
        return settings
    width, height = settings.size  # sd-scripts draws at 512 × 512 where a prompt does not say
    words = guide_prompt(project.trigger, project.class_name)
    prompt = f"{words} --w {width // 8 * 8} --h {height // 8 * 8} --d {settings.seed}"
    return settings.model_copy(update={"sample_prompts": (prompt,)})


def _base(project: Project, settings: Settings) -> BaseModel | None:
    """The base model that sd-scripts will train, where what it predicts can be told from its file."""
    from engine.plan.base_model import recognise

    with suppress(UserError):
        base = recognise(settings.pretrained_model_name_or_path, project.path)
        if base.kind not in ("pickle", "built-in"):  # nobody has looked into the one, and the other stays here
            return base
    return None
