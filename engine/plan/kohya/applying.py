"""Taking what a file gave into a project: what it changes there, and the change itself. Nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engine.plan import presets
from engine.plan.errors import UserError
from engine.plan.kohya import opening
from engine.plan.kohya.outcome import Outcome
from engine.plan.options import by_name, options
from engine.plan.preset_changes import Change
from engine.plan.project import Project
from engine.plan.settings import resolve, to_dict


def read_for(path: Path | str, project: Project) -> Outcome:
    """As `opening.read`; a length in steps becomes epochs, from the project's pictures with the file's own settings.

    Looks at all pictures only where that is needed. Raises UserError as `opening.read` does.
    """
    from engine.plan.dataset import scan
    from engine.plan.measured import keep_measures, kept_measures

    outcome = opening.read(path)
    if not any(line.why == "differs" and line.key == "max_train_steps" for line in outcome.left_out):
        return outcome
    try:
        measures = kept_measures(project)
        dataset = scan(project, project.resolved(outcome.settings), measure=measures)
        keep_measures(project, measures)
    except UserError:  # no pictures yet: then the length stays as it is, which the outcome says
        return outcome
    return opening.read(path, dataset.steps.steps_per_epoch)


def apply(project: Project, values: Mapping[str, object]) -> None:
    """Give the options these values, each of which fits; what the project's preset says anyway is not said again."""
    usual = presets.load(project.preset).settings if project.preset in presets.names() else {}
    for name, value in values.items():
        plain, expected = _plain(value), _plain(usual.get(name, by_name()[name].default))
        if plain == expected:
            project.settings.pop(name, None)
        else:
            project.settings[name] = plain
    if "optimizer_type" in project.settings and "optimizer_args" in values:
        # Beside another optimizer than the preset's, arguments that are not said would be that optimizer's usual ones.
        project.settings["optimizer_args"] = _plain(values["optimizer_args"])


def changes(project: Project, values: Mapping[str, object]) -> list[Change]:
    """What `apply` would change, in the order of a form."""
    after = replace(project, settings=dict(project.settings))
    apply(after, values)
    now, then = _values(project), _values(after)
    return [
        Change(option, now[option.name], then[option.name])
        for option in options()
        if now[option.name] != then[option.name]
    ]


def _values(project: Project) -> Mapping[str, object]:
    """The settings as they resolve; where project.toml holds one that cannot be used, as they stand there."""
    try:
        return to_dict(project.resolved())
    except UserError:
        usual = presets.load(project.preset).settings if project.preset in presets.names() else {}
        return {**to_dict(resolve()), **usual, **{k: v for k, v in project.settings.items() if k in by_name()}}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
