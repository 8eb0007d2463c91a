"""Asks what regularisation pictures show that are taken over, where the project has several classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.app import App

from engine.plan.errors import UserError, inert
from engine.plan.project import Project
from engine.plan.regularisation import classes_of
from lora_tui.aside import or_error
from lora_tui.screens.dialogs import Choice, Question

NAME_CELLS = 40


def ask_class(app: App[None], project: Project, then: Callable[[str], None]) -> None:
    """Goes on with the class, "" for the project's own, which is not asked for where it is the only one."""
    known = or_error(partial(classes_of, project), "The folders could not be read")
    if isinstance(known, UserError) or len(known) < 2:
        then("")
        return

    def chosen(which: str | None) -> None:
        if which:
            then(which)

    choices = [Choice(name, inert(name, NAME_CELLS)) for name in known]
    app.push_screen(Question("What do these pictures show?", [*choices, Choice("", "Leave it")]), chosen)
