"""What a preset changes in a project: told before it is taken, and done.

A preset of the program's own is noted in project.toml by its name. One that a person has saved is taken by its values,
as changes upon the guide's: a project that named it could not be opened on the machine that it is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.plan import presets
from engine.plan.errors import UserError
from engine.plan.option import Option
from engine.plan.options import by_name, options
from engine.plan.presets import DEFAULT, OF_THE_PROJECT, Preset
from engine.plan.project import Project
from engine.plan.settings import Settings, resolve, to_dict


@dataclass(frozen=True)
class Change:
    """An option that a preset gives another value. before: as it stands in project.toml where that fits no option."""

    option: Option
    before: object
    after: object


def start_from(project: Project, preset: Preset) -> None:
    """Take a preset: all settings are its own afterwards, but for those of the project's own (`OF_THE_PROJECT`)."""
    kept = {name: value for name, value in project.settings.items() if name in OF_THE_PROJECT}
    if preset.own:
        project.preset = DEFAULT
        project.settings = kept | worth_saving(resolve(preset.settings))
    else:
        project.preset = preset.name
        project.settings = kept


def changes(project: Project, preset: Preset) -> list[Change]:
    """What `start_from` would change in the project's settings, in the order of a form."""
    after = replace(project, settings=dict(project.settings))
    start_from(after, preset)
    now, then = _values(project), _values(after)
    return [
        Change(option, now[option.name], then[option.name])
        for option in options()
        if option.name not in OF_THE_PROJECT and now[option.name] != then[option.name]
    ]


def worth_saving(settings: Settings) -> dict[str, object]:
    """Those that differ from the defaults, without the project's own. Resolved, they give the same settings."""
    values = to_dict(settings)
    usual = to_dict(resolve())
    found = {name: value for name, value in values.items() if name not in OF_THE_PROJECT and value != usual[name]}
    if "optimizer_type" in found:  # without arguments of its own it would get its usual ones
        found["optimizer_args"] = values["optimizer_args"]
    return found


def _values(project: Project) -> Mapping[str, object]:
    """The settings as they resolve; where project.toml holds one that cannot be used, as they stand there."""
    try:
        return to_dict(project.resolved())
    except UserError:
        usual = to_dict(resolve())
        said = presets.load(project.preset).settings if project.preset in presets.names() else {}
        written = {name: value for name, value in project.settings.items() if name in by_name()}
        return {**usual, **said, **written}
