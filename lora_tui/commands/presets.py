"""`lora-tui presets`: named sets of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lora_tui import output
from lora_tui.options import json_option

if TYPE_CHECKING:
    from engine.plan.presets import Preset


@click.group("presets", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the presets, or show one."""
    if context.invoked_subcommand is None:
        _list(as_json)


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the presets and say when to use each."""
    _list(as_json or _asked_of_the_group())


@command.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show what the preset NAME sets."""
    from engine.plan import presets

    preset = presets.load(name)
    if as_json or _asked_of_the_group():
        output.answer(_as_object(preset))
        return
    output.say(f"{preset.title}: {preset.when}")
    for option, value in preset.settings.items():
        output.say(f"  {option} = {_as_typed(value)}")
    for note in preset.notes:
        output.say(f"Note: {note}")


def _asked_of_the_group() -> bool:
    """Whether --json stands before the subcommand."""
    group = click.get_current_context().parent
    return group is not None and bool(group.params.get("as_json"))


def _list(as_json: bool) -> None:
    from engine.plan import presets

    found = [presets.load(name) for name in presets.names()]
    if as_json:
        output.answer({"presets": [_as_object(preset) for preset in found]})
        return
    for preset in found:
        output.say(f"{preset.name}  {preset.title}: {preset.when}")


def _as_object(preset: Preset) -> dict[str, object]:
    return {
        "name": preset.name,
        "title": preset.title,
        "when": preset.when,
        "settings": preset.settings,
        "notes": list(preset.notes),
    }


def _as_typed(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
