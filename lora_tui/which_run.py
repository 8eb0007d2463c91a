"""The run that a person means by RUN: a path, a name in a project, or `last`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from engine.plan.errors import UserError
from engine.plan.files import absolute_path
from engine.runs.folder import RunFolder, find, list_runs
from engine.runs.lock import look
from lora_tui import recent

_F = TypeVar("_F", bound=Callable[..., Any])
LOOKED_INTO = 10  # recent projects, when there is no run where it was looked for


def run_argument(command: _F) -> _F:
    """The argument RUN, as `run`, and the option `--project`, as `project`."""
    command = click.option(
        "--project", default=None, metavar="DIR", help="The project RUN is in, if not the folder you are in."
    )(command)
    return click.argument("run", metavar="[RUN]", default="last")(command)


def project_here() -> Path:
    """The project folder that the current folder is, or lies in; the current folder itself if there is none."""
    here = Path.cwd()
    if (here / "runs").is_dir():
        return here
    return next((folder for folder in (here, *here.parents) if (folder / "project.toml").is_file()), here)


def chosen_run(run: str, project: str | None, prefer: Callable[[RunFolder], bool]) -> RunFolder:
    """The run folder meant. RUN may also be a project folder, whose `last` is meant then.

    `last` is the newest run that `prefer` holds good, or else the newest. Raises UserError "no-such-run".
    """
    folder = absolute_path(project) if project is not None else project_here()
    if run != "last" and not (folder / "runs" / run / "job.toml").is_file():
        path = absolute_path(run)
        if list_runs(path) and not (path / "job.toml").is_file():
            run, folder = "last", path
    if run == "last":
        for candidate in reversed(list_runs(folder)):
            if prefer(candidate):
                return candidate
    try:
        return find(run, folder)
    except UserError as error:
        raise _with_what_there_is(error, run) from None


def at_work(run: RunFolder) -> bool:
    """Whether an engine holds the run's lock."""
    return look(run).status == "held"


def _with_what_there_is(error: UserError, run: str) -> UserError:
    """Somebody who asks for `last` in the wrong folder is told which run is at work elsewhere."""
    if run == "last":
        for project in recent.projects()[:LOOKED_INTO]:
            for other in reversed(list_runs(project)):
                if at_work(other):
                    return UserError(error.code, error.message, f"One is at work: {other.path}")
    return error
