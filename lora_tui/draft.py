"""The project that the wizard's screens edit: one plain object, saved as it is edited, safe beside a text editor.

Every edit is made on the project.toml that is on the disk now, so that what somebody wrote there a moment ago stays. A
file that cannot be read or written keeps the edit waiting here; nothing that was typed is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

from engine.plan import presets
from engine.plan.errors import UserError
from engine.plan.files import atomic_write
from engine.plan.options import by_name
from engine.plan.project import Project
from engine.plan.settings import Settings, parse_text, resolve

Change = Callable[[Project], None]
OWN_FOLDER = ".lora-tui"
DEFAULT_PRESET = "guide"
MOST_UNDONE = 100  # edits
EDITED = ("name", "trigger", "class_name", "preset", "settings", "repeats", "left_out")
_WORDS = {
    "name": "the name",
    "trigger": "the trigger word",
    "class_name": "the class",
    "preset": "the preset",
    "repeats": "the repeats",
    "left_out": "which pictures are left out",
}
LONGEST_TYPED = 20_000  # characters of a value that is kept although it is none


class Draft:
    """An open project. `project` is what it will be once everything is written.

    `trouble`: why project.toml cannot be read or written now, else None; edits wait until it can. `typed`: by option,
    texts that are no value for it (yet); they never get into the project file, and are kept beside it.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError as `Project.open` does."""
        self.project = Project.open(path)
        self.path = self.project.path
        self.trouble: UserError | None = None
        self.edits = 0  # how often anything changed, here or on the disk
        self._waiting: list[Change] = []
        self._past: list[dict[str, object]] = []  # what was before each edit
        self._seen = self._stamp()
        self.typed: dict[str, str] = self._read_typed()

    # ------------------------------------------------------------------------------------------------------ edits
    def edit(self, change: Change) -> UserError | None:
        """Make a change and save it; what kept it from being saved, or None. It is not lost either way."""
        before = _facts(self.project)
        error = self._apply(change)
        if _facts(self.project) != before:
            self._past.append(before)
            del self._past[:-MOST_UNDONE]
        return error

    def undo(self) -> tuple[str, UserError | None]:
        """Take back the last edit that was made here: (what, in words; what kept that from being saved, or None)."""
        if not self._past:
            return "", None
        facts, now = self._past.pop(), _facts(self.project)
        error = self._apply(lambda project: project.__dict__.update(deepcopy(facts)))
        return ", ".join(_changed_words(now, facts)), error

    @property
    def undoable(self) -> bool:
        return bool(self._past)

    def _apply(self, change: Change) -> UserError | None:
        change(self.project)
        self._waiting.append(change)
        self.edits += 1
        return self._write()

    def set(self, name: str, text: str) -> UserError | None:
        """Give an option the value that was typed. What is wrong with it, or None; then the text is kept as typed."""
        try:
            value = parse_text(name, text)
            resolve({name: value})
        except UserError as error:
            self._keep_typed(name, text)
            return error
        return self.set_value(name, value)

    def set_value(self, name: str, value: object) -> UserError | None:
        """Give an option a value that fits it. What kept it from being saved, or None."""
        self._keep_typed(name, None)
        plain = list(value) if isinstance(value, tuple) else value

        def change(project: Project) -> None:
            if plain == self.usual_of(project, name):
                project.settings.pop(name, None)  # what the preset says anyway need not be said again
            else:
                project.settings[name] = plain

        return self.edit(change)

    def reset(self, name: str) -> UserError | None:
        """Take back an option to what the preset says."""
        self._keep_typed(name, None)

        def change(project: Project) -> None:
            project.settings.pop(name, None)

        return self.edit(change)

    def choose_preset(self, name: str) -> UserError | None:
        """Start from a preset; what was set by hand for this project's own sake (its base model, names) stays."""

        def change(project: Project) -> None:
            project.preset = name
            kept = {"pretrained_model_name_or_path", "output_name", "training_comment", "sample_prompts"}
            project.settings = {key: value for key, value in project.settings.items() if key in kept}

        for option in list(self.typed):
            self._keep_typed(option, None)
        return self.edit(change)

    def look(self) -> bool:
        """Whether somebody else has changed the file since; takes over what they wrote, and writes what waits."""
        stamp = self._stamp()
        if stamp == self._seen and not self._waiting:
            return False
        if stamp != self._seen or self.trouble is not None:
            self._write()
            self.edits += 1
            return True
        return False

    # ----------------------------------------------------------------------------------------------------- values
    def settings(self) -> Settings:
        """What a training would use. Raises UserError where the file holds a value that does not fit."""
        return self.project.resolved()

    def value(self, name: str) -> object:
        """The option's value, as it stands in the file where that is not in order."""
        try:
            return getattr(self.settings(), name)
        except UserError:
            return self.project.settings.get(name, self.usual(name))

    def usual(self, name: str) -> object:
        """What the preset says, or the option's default where it says nothing."""
        return self.usual_of(self.project, name)

    @staticmethod
    def usual_of(project: Project, name: str) -> object:
        return preset_values(project.preset).get(name, by_name()[name].default)

    def changed(self, name: str) -> bool:
        """Whether the option was set to something else than the preset says."""
        return name in self.project.settings

    # ------------------------------------------------------------------------------------------------------ inside
    def _write(self) -> UserError | None:
        """Read the file anew, make the changes that wait, and write it."""
        try:
            project = Project.open(self.path)
            for change in self._waiting:
                change(project)
            if self._waiting:
                project.save()
        except UserError as error:
            if error.code == "not-utf8":  # it never could be written: refused, not kept waiting
                self._waiting.pop()
                self._write()
                return error
            self.trouble = error
            self._seen = self._stamp()
            return error
        self._waiting.clear()
        self.project, self.trouble = project, None
        self._seen = self._stamp()
        return None

    def _stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever project.toml does."""
        try:
            about = os.stat(self.path / "project.toml")
        except OSError:
            return None
        return about.st_ino, about.st_size, about.st_mtime_ns

    @property
    def own_folder(self) -> Path:
        """Where the app keeps what is no part of the project."""
        return self.path / OWN_FOLDER

    def _read_typed(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            said = json.loads((self.own_folder / "typed.json").read_bytes())
            if isinstance(said, dict):
                return {name: text for name, text in said.items() if name in by_name() and isinstance(text, str)}
        return {}

    def _keep_typed(self, name: str, text: str | None) -> None:
        before = dict(self.typed)
        if text is None:
            self.typed.pop(name, None)
        else:
            self.typed[name] = text[:LONGEST_TYPED]
        if self.typed != before:
            self.edits += 1
            self.remember("typed", self.typed)

    def remember(self, what: str, value: Mapping[str, object]) -> None:
        """Keep something of the app's beside the project. A disk that refuses is not worth a word here."""
        with contextlib.suppress(UserError, OSError):
            self.own_folder.mkdir(exist_ok=True)
            atomic_write(self.own_folder / f"{what}.json", json.dumps(value, ensure_ascii=True) + "\n")

    def remembered(self, what: str) -> dict[str, object]:
        """What was kept; empty where there is nothing that can be read."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            said = json.loads((self.own_folder / f"{what}.json").read_bytes())
            if isinstance(said, dict):
                return said
        return {}


def _facts(project: Project) -> dict[str, object]:
    """What an edit may change."""
    return {name: deepcopy(getattr(project, name)) for name in EDITED}


def _changed_words(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """What differs between two states of a project, as people call it."""
    found = [_WORDS[name] for name in EDITED if name in _WORDS and before[name] != after[name]]
    old, new = (state["settings"] for state in (before, after))
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        found += [by_name()[name].title for name in names if name in by_name()]
    return found


def preset_values(name: str | None) -> Mapping[str, object]:
    """What a preset sets; nothing for none, or for one that is not there."""
    if not name:
        return {}
    try:
        return presets.load(name).settings
    except UserError:
        return {}
