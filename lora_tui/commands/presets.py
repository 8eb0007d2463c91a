"""`lora-tui presets`: named sets of settings, those of the program and one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lora_tui import output
from lora_tui.commands.kohya import export_command, import_command
from lora_tui.options import json_option, open_project, set_option

if TYPE_CHECKING:
    from engine.plan.preset_changes import Change
    from engine.plan.presets import Preset
    from engine.plan.project import Project


@click.group("presets", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the presets, show what one sets or changes, take one, save your own."""
    if context.invoked_subcommand is None:
        _list(as_json)


command.add_command(import_command)
command.add_command(export_command)


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the presets and say when to use each."""
    _list(as_json or _asked_of_the_group())


@command.command("show")
@click.argument("name")
@click.argument("directory", metavar="[DIR]", required=False)
@json_option
def show_command(name: str, directory: str | None, as_json: bool) -> None:
    """Show what the preset NAME sets; with a project DIR, what it would change there."""
    from engine.plan.preset_changes import changes
    from engine.plan.project import Project
    from lora_tui.preset_shelf import find

    preset = find(name)
    project = Project.open(directory) if directory is not None else None
    found = changes(project, preset) if project is not None else None
    if as_json or _asked_of_the_group():
        about = {} if project is None or found is None else _compared(project, found)
        output.answer(_as_object(preset) | about)
        return
    output.say(f"{preset.title}: {preset.when}")
    if project is None or found is None:
        for option, value in preset.settings.items():
            output.say(f"  {option} = {_as_typed(value)}")
    else:
        _say_changes(project, found)
    for note in preset.notes:
        output.say(f"Note: {note}")


@command.command("use")
@click.argument("name")
@click.argument("directory", metavar="DIR")
@json_option
def use_command(name: str, directory: str, as_json: bool) -> None:
    """Start the settings of the project DIR from the preset NAME.

    Its base model, names, paths and words stay; every other setting of the project is as the preset says afterwards.
    """
    from engine.plan.preset_changes import changes, start_from
    from engine.plan.project import Project
    from lora_tui.preset_shelf import find

    preset = find(name)
    project = Project.open(directory)
    found = changes(project, preset)
    start_from(project, preset)
    project.save()
    if as_json or _asked_of_the_group():
        output.answer({"name": preset.name} | _compared(project, found))
        return
    _say_changes(project, found)
    output.say(f"The settings of {project.name} start from {preset.title} now.")


@command.command("save")
@click.argument("name")
@click.argument("directory", metavar="[DIR]", default=".")
@click.option("--when", default="", metavar="SENTENCE", help="When to use it, in one sentence.")
@click.option("--force", is_flag=True, help="Also over one of yours that has this name.")
@set_option
@json_option
def save_command(
    name: str, directory: str, when: str, force: bool, sets: tuple[tuple[str, str], ...], as_json: bool
) -> None:
    """Save the settings of the project DIR (usual: here) as a preset of your own.

    Without the base model, names, paths and the trigger word.
    """
    from engine.plan.preset_changes import worth_saving
    from lora_tui.preset_shelf import save

    _, settings = open_project(directory, sets)
    path = save(name, settings, when, force=force)
    if as_json or _asked_of_the_group():
        output.answer({"name": path.stem, "path": path, "settings": worth_saving(settings)})
        return
    output.say(f"Saved as {path.stem}: {path}")


@command.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def remove_command(name: str, yes: bool, as_json: bool) -> None:
    """Delete the preset NAME, one of your own. Projects that were started from it stay as they are."""
    from lora_tui.preset_shelf import find_own, remove

    path = find_own(name)
    removed = output.confirmed(f"Delete your preset {path.stem} ({path})?", yes)
    if removed:
        remove(name)
    if as_json or _asked_of_the_group():
        output.answer({"name": path.stem, "path": path, "removed": removed})
    elif removed:
        output.say(f"Deleted: {path}")


def _asked_of_the_group() -> bool:
    """Whether --json stands before the subcommand."""
    group = click.get_current_context().parent
    return group is not None and bool(group.params.get("as_json"))


def _list(as_json: bool) -> None:
    from lora_tui.preset_shelf import shelf

    found, broken = shelf()
    if as_json:
        unusable = [
            {"name": file.name, "path": file.path, "code": file.why.code, "message": str(file.why)} for file in broken
        ]
        output.answer({"presets": [_as_object(preset) for preset in found], "broken": unusable})
        return
    for preset in found:
        own = " (your own)" if preset.own else ""
        output.say(f"{preset.name}{own}  {preset.title}: {preset.when}")
    for file in broken:
        output.say(f"{file.name} cannot be used: {file.why}")


def _say_changes(project: Project, found: list[Change]) -> None:
    from lora_tui.preset_shelf import counted, told

    output.say(f"In {project.name} it {counted(found)}{':' if found else '.'}")
    for change in found:
        title, before, after = told(change)
        output.say(f"  {title} ({change.option.name}): {before} → {after}")


def _compared(project: Project, found: list[Change]) -> dict[str, object]:
    return {
        "project": project.path,
        "changes": [
            {"option": one.option.name, "title": one.option.title, "before": one.before, "after": one.after}
            for one in found
        ],
    }


def _as_object(preset: Preset) -> dict[str, object]:
    return {
        "name": preset.name,
        "title": preset.title,
        "when": preset.when,
        "settings": preset.settings,
        "notes": list(preset.notes),
        "own": preset.own,
    }


def _as_typed(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
