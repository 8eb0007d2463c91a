"""Options that several commands share, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from engine.plan.project import Project
    from engine.plan.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


def json_option(command: _F) -> _F:
    """`--json`, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(command)


def set_option(command: _F) -> _F:
    """`--set option=value`, repeatable, as `sets`: pairs of texts."""
    return click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="OPTION=VALUE",
        callback=_pairs,
        help="Use this value instead of the project's, e.g. --set network_dim=32. May be given several times.",
    )(command)


def device_option(command: _F) -> _F:
    """`--device`, as `device`."""
    return click.option(
        "--device", default="auto", metavar="NAME", callback=_device, help="auto, cpu, mps, cuda or cuda:1."
    )(command)


def device_option_unset(command: _F) -> _F:
    """`--device`, as `device`; None where it is not given."""
    return click.option(
        "--device", default=None, metavar="NAME", callback=_device, help="auto, cpu, mps, cuda or cuda:1."
    )(command)


def theme_option(command: _F) -> _F:
    """`--theme`, as `theme`; None where it is not given."""
    from lora_tui.themes import THEMES

    words = "; ".join(f"{name}: {what}" for name, what in THEMES.items())
    return click.option(
        "--theme", type=click.Choice(list(THEMES)), default=None, help=f"{words}. Else the one chosen in the app last."
    )(command)


def on_end_option(command: _F) -> _F:
    """`--on-end CMD`, as `on_end`; None where it is not given, "" where nothing is to be run."""
    return click.option(
        "--on-end",
        default=None,
        metavar="CMD",
        help='A shell command to run (in /) when it has ended, however it ends, e.g. "sudo poweroff"; "" for none.',
    )(command)


def take_over_option(command: _F) -> _F:
    """`--take-over`, as `take_over`."""
    return click.option(
        "--take-over",
        is_flag=True,
        help="Also a run that was last at work on another machine. Only if no engine is at work there any more.",
    )(command)


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter("write it as option=value, e.g. --set network_dim=32.", context, parameter)
        pairs.append((name.strip(), text))
    return tuple(pairs)


def _device(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _DEVICE.fullmatch(value):
        raise click.BadParameter("it must be auto, cpu, mps, cuda or cuda:NUMBER.", context, parameter)
    return value


def overrides(sets: tuple[tuple[str, str], ...]) -> dict[str, object]:
    """The values that --set gives. Raises UserError "unknown-option" or "bad-value"."""
    from engine.plan.settings import parse_text

    return {name: parse_text(name, text) for name, text in sets}


def open_project(directory: str, sets: tuple[tuple[str, str], ...]) -> tuple[Project, Settings]:
    """The project in `directory` and its settings with --set over them. Raises UserError."""
    from engine.plan.project import Project

    given = overrides(sets)  # first: a mistyped option is told before a disk is read
    project = Project.open(directory)
    return project, project.resolved(given)
