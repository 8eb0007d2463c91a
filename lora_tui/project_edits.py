"""Edits of [project] in project.toml: its name and words, the repeats of its folders, which pictures are left out.

Folders are never renamed, and pictures never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.plan.option_values import MAX_FILE_NAME_CHARACTERS, is_plain_name
from engine.plan.project import Project
from lora_tui.draft import Change

MOST_REPEATS = 100_000


def refusal(what: str, text: str) -> str:
    """Why a text cannot be the "name", the "trigger", the "class" or the "repeats"; "" where it can."""
    if what == "repeats":
        if text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= MOST_REPEATS:
            return ""
        return f"Repeats are a whole number from 1 to {MOST_REPEATS:,}."
    if len(text) > MAX_FILE_NAME_CHARACTERS:
        return f"That is too long: at most {MAX_FILE_NAME_CHARACTERS} letters."
    if what == "name" and not is_plain_name(text):
        return "The name becomes a file's name: letters, digits and spaces, please."
    if what == "trigger" and not text:
        return "Without a trigger word nothing calls the LoRA up."
    if what in ("trigger", "class") and text and not is_plain_name(text):
        return "Letters, digits and spaces, please."
    return ""


def change_of(what: str, text: str, folder: str = "") -> Change:
    """The edit that gives it this text, which is not refused. folder: of which the repeats are."""

    def change(project: Project) -> None:
        if what == "repeats":
            project.repeats[folder] = int(text)
        else:
            setattr(project, {"class": "class_name"}.get(what, what), text)

    return change


def repeats_of(folders: Mapping[str, int]) -> Change:
    """The edit that gives several folders their repeats."""

    def change(project: Project) -> None:
        project.repeats.update(folders)

    return change


def left_out_too(pictures: Iterable[Path]) -> Change:
    """The edit that leaves these pictures out as well."""

    def change(project: Project) -> None:
        known = set(project.left_out)
        project.left_out += [path for picture in pictures if (path := project.relative(picture)) not in known]

    return change


def left_out_no_more(pictures: Iterable[Path]) -> Change:
    """The edit that takes these pictures back."""

    def change(project: Project) -> None:
        back = {project.relative(picture) for picture in pictures}
        project.left_out[:] = [path for path in project.left_out if path not in back]

    return change


def left_out_or_not(picture: Path) -> Change:
    """The edit that leaves a picture out of the training, or takes it back."""

    def change(project: Project) -> None:
        path = project.relative(picture)
        if path in project.left_out:
            project.left_out.remove(path)
        else:
            project.left_out.append(path)

    return change
