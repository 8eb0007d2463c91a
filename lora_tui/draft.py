"""The project that the wizard's screens edit: one plain object, saved as it is edited, safe beside a text editor.

Every edit is made on the project.toml that is on the disk now, so that what somebody wrote there a moment ago stays.
While that file cannot be read or written the edits wait, beside the project, also for the next start of the app.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.plan import presets
from engine.plan.errors import UserError, inert
from engine.plan.options import by_name
from engine.plan.preset_changes import start_from
from engine.plan.presets import OF_THE_PROJECT, Preset
from engine.plan.project import Project
from engine.plan.settings import Settings, parse_text, resolve
from lora_tui import patch
from lora_tui.beside import Beside
from lora_tui.patch import Patch

Change = Callable[[Project], None]
DEFAULT_PRESET = presets.DEFAULT
MOST_UNDONE = 100  # edits
LONGEST_TYPED = 20_000  # characters of a value that is kept although it is none


class Edit(NamedTuple):
    """An edit that was made, and what takes it back."""

    made: Patch
    back: Patch


class Draft:
    """An open project. `project` is what it will be once everything is written.

    `trouble`: why project.toml cannot be read or written now, else None; edits wait until it can. `unkept`: whether
    edits wait only here, as no disk takes them. `recovered`: what edits of an earlier start of the app did now, in
    words. `typed`: by option, texts that are no value for it (yet); they never get into the project file, and are kept
    beside it.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError as `Project.open` does."""
        self.project = Project.open(path)
        self.path = self.project.path
        self.trouble: UserError | None = None
        self.edits = 0  # how often anything changed, here or on the disk
        self.beside = Beside(self.path)
        self.unkept = False
        self._waiting: Patch = patch.from_json(self.beside.remembered("waiting").get("edits"))
        self._past = _past_from(self.beside.remembered("undo"))
        self._seen = self._stamp()
        self.recovered = patch.words(self._waiting)
        if self._waiting and self._write() is not None:
            patch.make(self._waiting, self.project)
            self.recovered = []
        typed = self.beside.remembered("typed")
        self.typed = {name: text for name, text in typed.items() if name in by_name() and isinstance(text, str)}

    # ------------------------------------------------------------------------------------------------------ edits
    def edit(self, change: Change) -> UserError | None:
        """Make a change and save it; what kept it from being saved, or None. It is not lost either way."""
        before = patch.facts(self.project)
        change(self.project)
        after = patch.facts(self.project)
        made = patch.difference(before, after)
        error = self._apply(made)
        if patch.facts(self.project) != before:
            self._past.append(Edit(made, patch.difference(after, before)))
            del self._past[:-MOST_UNDONE]
        return error

    def undo(self) -> tuple[str, UserError | None]:
        """Take back the last edit that was made here: (what, in words; what kept that from being saved, or None).

        What somebody else, or another app, has changed since is theirs and stays.
        """
        if not self._past:
            return "", None
        self._write()  # what is there now, whatever its stamp says
        edit, now = self._past.pop(), patch.facts(self.project)
        back = {place: was for place, was in edit.back.items() if now.get(place) == edit.made.get(place)}
        theirs = patch.words([place for place in edit.back if place not in back])
        patch.make(back, self.project)
        what = ", ".join(patch.words(back)) or "nothing"
        what += f" ({', '.join(theirs)}: changed elsewhere since, and stays so)" if theirs else ""
        return what, self._apply(back)

    def leave(self) -> None:
        """Keep what is needed to take edits back after the project has been opened again."""
        if self._past or self.beside.remembered("undo"):
            past = [{"made": patch.to_json(edit.made), "back": patch.to_json(edit.back)} for edit in self._past]
            self.beside.remember("undo", {"edits": past})

    @property
    def undoable(self) -> bool:
        return bool(self._past)

    @property
    def undoable_edits(self) -> int:
        """How many edits can be taken back."""
        return len(self._past)

    def _apply(self, edit: Patch) -> UserError | None:
        waited, self._waiting = self._waiting, self._waiting | edit
        self.edits += 1
        error = self._write()
        if error is not None and error.code == "not-utf8":  # it never could be written: refused, not kept waiting
            self._waiting = waited
            self._write()
        return error

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
        return self.set_values({name: value})

    def set_values(self, values: Mapping[str, object]) -> UserError | None:
        """Give options values that fit them, as one edit: one undo takes all back. Answers as `set_value` does."""
        for name in values:
            self._keep_typed(name, None)

        def change(project: Project) -> None:
            for name, value in values.items():
                plain = list(value) if isinstance(value, tuple) else value
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

    def take_preset(self, preset: Preset) -> UserError | None:
        """Start from a preset; what belongs to this project (its base model, names, captions' form) stays."""
        for option in list(self.typed):
            if option not in OF_THE_PROJECT:
                self._keep_typed(option, None)
        return self.edit(lambda project: start_from(project, preset))

    def take_values(self, values: Mapping[str, object]) -> UserError | None:
        """Give several options values that fit them, as one edit."""
        from engine.plan.kohya.applying import apply

        for option in values:
            self._keep_typed(option, None)
        return self.edit(lambda project: apply(project, values))

    def choose_preset(self, name: str) -> UserError | None:
        """Start from one that comes with the program. Raises UserError `unknown-preset`."""
        return self.take_preset(presets.load(name))

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

    @property
    def trouble_words(self) -> str:
        """Why project.toml is not written now, and what becomes of the edits; "" while all is well."""
        if self.trouble is None:
            return ""
        if gone := self.gone:
            kept = "What you change would be lost if you left now" if self.unkept else "What you change waits for it"
            return f"{gone}. {kept}."
        # What becomes of the edits first: a long path or line of the file must not cut that off.
        said = self.trouble.message if self.trouble.code == "not-writable" else str(self.trouble)
        if self.unkept:
            return f"Your changes would be lost if you left now, as they cannot be written: {said}"
        return f"What you change is kept, and written once this is mended: {said}"

    @property
    def gone(self) -> str:
        """What is to be said where the project's folder was moved or deleted meanwhile; else ""."""
        return "" if self.path.is_dir() else f"The project's folder is not there any more: {inert(self.path)}"

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
        value, usual = self.project.settings.get(name), self.usual(name)
        return name in self.project.settings and value != (list(usual) if isinstance(usual, tuple) else usual)

    # ------------------------------------------------------------------------------------------------------ inside
    def _write(self) -> UserError | None:
        """Read the file anew, make the changes that wait, and write it."""
        try:
            project = Project.open(self.path)
            patch.make(self._waiting, project)
            if self._waiting:
                project.save()
        except UserError as error:
            if error.code != "not-utf8":
                self.trouble = error
                if self._waiting:
                    self.unkept = not self.beside.remember("waiting", {"edits": patch.to_json(self._waiting)})
            self._seen = self._stamp()
            return error
        if self._waiting:
            self.beside.forget("waiting")
        self._waiting, self.unkept = {}, False
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

    def _keep_typed(self, name: str, text: str | None) -> None:
        before = dict(self.typed)
        if text is None:
            self.typed.pop(name, None)
        else:
            self.typed[name] = text[:LONGEST_TYPED]
        if self.typed != before:
            self.edits += 1
            self.beside.remember("typed", self.typed)


def _past_from(said: Mapping[str, object]) -> list[Edit]:
    """The edits that were written down, the last one last; without whatever is none."""
    past = said.get("edits")
    return [
        Edit(patch.from_json(edit.get("made")), patch.from_json(edit.get("back")))
        for edit in (past if isinstance(past, list) else [])
        if isinstance(edit, dict)
    ]


def preset_values(name: str | None) -> Mapping[str, object]:
    """What a preset sets; nothing for none, or for one that is not there."""
    if not name:
        return {}
    try:
        return presets.load(name).settings
    except UserError:
        return {}
