"""`lora-tui presets import` and `presets export`: settings from kohya's files and from LoRAs, and for sd-scripts."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lora_tui import output
from lora_tui.options import json_option, set_option

if TYPE_CHECKING:
    from engine.plan.kohya.outcome import Outcome
    from engine.plan.preset_changes import Change
    from lora_tui.sd_scripts import Written

OF_A_SUBJECT = "no preset holds paths, names and words of a subject"


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--apply", "directory", default=None, metavar="DIR", help="Set them in this project.")
@click.option("--to", "name", default=None, metavar="NAME", help="Save them as a preset of your own.")
@click.option("--when", default="", metavar="SENTENCE", help="With --to: when to use it, in one sentence.")
@click.option("--force", is_flag=True, help="With --to: also over one of yours that has this name.")
@json_option
def import_command(file: str, directory: str | None, name: str | None, when: str, force: bool, as_json: bool) -> None:
    """Read the settings in FILE: a save of kohya_ss (.json), sd-scripts' configuration, dataset or prompts (.toml,
    .txt), or a LoRA (.safetensors), to train like that one.

    Every key is carried over, or told with the reason why not. Without --apply and --to nothing is changed. Base model,
    folders, paths, names and the trigger word of a project always stay.
    """
    from engine.plan.files import absolute_path
    from engine.plan.kohya import applying, opening
    from engine.plan.project import Project

    if directory is not None and name is not None:
        raise click.UsageError("take either --apply DIR or --to NAME.")
    project = Project.open(directory) if directory is not None else None
    outcome = opening.read(file) if project is None else applying.read_for(file, project)
    changes: list[Change] = []
    saved = None
    if project is not None:
        changes = applying.changes(project, outcome.settings)
        applying.apply(project, outcome.settings)
        project.save()
    elif name is not None:
        outcome, saved = _save(outcome, name, when or f"Imported from {Path(file).name}.", force)
    if as_json or _asked_of_the_group():
        where = {"project": project.path if project else None, "preset": saved}
        output.answer({"file": absolute_path(file)} | as_object(outcome, changes) | where)
        return
    _say(outcome, changes if project is not None else None)
    output.findings(outcome.findings)
    if project is not None:
        output.say(f"Set in {project.name}. Base model, names, paths and folders are as they were.")
    elif saved is not None:
        output.say(f"Saved as {saved.stem}: {saved}")
    else:
        output.say("Nothing was changed: --apply DIR sets them in a project, --to NAME saves them as a preset.")


@click.command("export")
@click.argument("what", metavar="PRESET|DIR")
@click.option("--to", "directory", required=True, metavar="DIR", help="The folder for the files; nothing is replaced.")
@click.option("--name", default="", help="What the files are called; the preset's or the project's name by default.")
@set_option
@json_option
def export_command(what: str, directory: str, name: str, sets: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """Write settings for kohya's sd-scripts: those of a preset, or of the project DIR with its folders and prompts.

    What sd-scripts cannot do stands in the file as a comment, and is told.
    """
    from engine.plan.files import absolute_path

    written = _write(what, sets, absolute_path(directory), name)
    if as_json or _asked_of_the_group():
        output.answer({"files": written.files, "findings": [finding.as_json() for finding in written.findings]})
        return
    output.findings(written.findings)
    for file in written.files:
        output.say(str(file))
    output.say(f"With sd-scripts: {written.command}")


def as_object(outcome: Outcome, changes: list[Change]) -> dict[str, object]:
    """What became of a file, for --json."""
    return {
        "kind": outcome.kind,
        "settings": outcome.settings,
        "carried": [vars(line) for line in outcome.carried],
        "left_out": [vars(line) for line in outcome.left_out],
        "findings": [finding.as_json() for finding in outcome.findings],
        "changes": [
            {"option": change.option.name, "before": change.before, "after": change.after} for change in changes
        ],
    }


def _asked_of_the_group() -> bool:
    """Whether --json stands before the subcommand."""
    group = click.get_current_context().parent
    return group is not None and bool(group.params.get("as_json"))


def _save(outcome: Outcome, name: str, when: str, force: bool) -> tuple[Outcome, Path]:
    from engine.plan.presets import OF_THE_PROJECT
    from engine.plan.settings import resolve
    from lora_tui import preset_shelf

    kept = outcome.without(OF_THE_PROJECT, OF_A_SUBJECT)
    return kept, preset_shelf.save(name, resolve(kept.settings), when, force=force)


def _say(outcome: Outcome, changes: list[Change] | None) -> None:
    """The changes in a project, or else all that is carried over; then what is not."""
    from engine.plan.kohya.arguments import UNSAID
    from engine.plan.options import by_name
    from lora_tui.import_words import notes, reasons, sentence, summary, weighty
    from lora_tui.option_texts import shown_value
    from lora_tui.preset_shelf import counted, told

    output.say(summary(outcome))
    noted = {option: f"  ({note})" for option, note in notes(outcome).items()}
    if changes is not None:
        output.say(f"In this project it {counted(changes)}{':' if changes else '.'}")
        for change in changes:
            title, before, after = told(change)
            output.say(f"  {title} ({change.option.name}): {before} → {after}{noted.get(change.option.name, '')}")
    else:
        values = {name: shown_value(by_name()[name], value) for name, value in outcome.settings.items()}
        unsaid = {name for name, note in notes(outcome).items() if note == UNSAID}
        for name, value in values.items():
            if name not in unsaid:
                output.say(f"  {name} = {value}{noted.get(name, '')}")
        if rest := ", ".join(f"{name} = {value}" for name, value in values.items() if name in unsaid):
            output.say(f"  {UNSAID}:")
            for row in textwrap.wrap(rest, 110, break_long_words=False, break_on_hyphens=False):
                output.say(f"    {row}")
    if found := weighty(outcome):
        output.say("Not carried over:")
        for line in found:
            output.say(f"  {sentence(line)}")
    for text in reasons(outcome):
        output.say(text)


def _write(what: str, sets: tuple[tuple[str, str], ...], folder: Path, name: str) -> Written:
    """The files of a preset or a project. Raises UserError."""
    import os

    from engine.plan.settings import resolve
    from lora_tui import preset_shelf
    from lora_tui.options import open_project, overrides
    from lora_tui.sd_scripts import write_preset, write_project

    names = [preset.name for preset in preset_shelf.shelf()[0]]
    if what in names or not (os.sep in what or os.path.isdir(what)):
        preset = preset_shelf.find(what)
        return write_preset(preset, resolve(preset.settings, overrides(sets)), folder, name)
    return write_project(*open_project(what, sets), folder, name)
