"""Editing the options of a job that prepares a training, which stand in a table of their own in project.toml."""

from __future__ import annotations

from engine.plan.errors import UserError
from engine.plan.job_options import JobTable, parse_job_text, resolve_job
from engine.plan.project import Project
from lora_tui.draft import Change


def value_of(table: JobTable, name: str, text: str) -> object:
    """The value that was typed. Raises UserError where it does not fit."""
    value = parse_job_text(table, name, text)
    return getattr(resolve_job(table, {name: value}), name)


def complaint(table: JobTable, name: str, text: str) -> str:
    """What is wrong with a text as the value of an option; "" for nothing."""
    try:
        value_of(table, name, text)
    except UserError as error:
        return str(error)
    return ""


def change_of(table: JobTable, name: str, value: object, usual: object) -> Change:
    """The edit that gives the option a value; the usual one need not stand in the file."""

    def change(project: Project) -> None:
        values: dict[str, object] = getattr(project, table)
        if value == usual:
            values.pop(name, None)
        else:
            values[name] = value

    return change
