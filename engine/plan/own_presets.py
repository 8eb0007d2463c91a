"""Presets that a person has saved: a TOML file each, in a folder of theirs. Any of them may be broken, or a stranger's.

They are read anew each time, as they may be edited by hand. Values only: no file of these names a path or a subject.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from engine.plan import presets
from engine.plan.errors import UserError, few, inert
from engine.plan.files import atomic_write, disk_errors, reading_errors
from engine.plan.option_values import is_plain_name
from engine.plan.preset_changes import worth_saving
from engine.plan.presets import OF_THE_PROJECT, Preset
from engine.plan.project_file import parse_toml
from engine.plan.settings import Settings, resolve_named

LONGEST_NAME = 60  # characters
LONGEST_SENTENCE = 300  # characters of a title or a sentence; more would fill a screen
MOST_BYTES = 100_000  # of one file: all options with long texts are some 5,000
MOST_FILES = 500  # that are listed: whoever has more looks for one by its name

_KEYS = ("title", "when", "notes", "settings")
_WHEN = "One of your own."


@dataclass(frozen=True)
class Broken:
    """A file that is no preset, and why in one sentence."""

    name: str
    path: Path
    why: UserError


def found(folder: Path) -> tuple[list[Preset], list[Broken]]:
    """All in `folder`, by name, and those that cannot be used; both empty where there is no such folder."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except OSError:
        return [], []
    whole: list[Preset] = []
    broken: list[Broken] = []
    for path in paths[:MOST_FILES]:
        try:
            whole.append(_read(path))
        except UserError as error:
            broken.append(Broken(path.stem, path, error))
    return whole, broken


def load(folder: Path, name: str) -> Preset:
    """The preset that was saved as `name`. Raises UserError: `unknown-preset`, `bad-preset`, `not-readable`."""
    path = _path(folder, name)
    if path is None or not os.path.lexists(path):
        raise presets.unknown(name, [path.stem for path in sorted(folder.glob("*.toml"))])
    return _read(path)


def save(folder: Path, name: str, settings: Settings, when: str = "", *, force: bool = False) -> Path:
    """Save what differs from the defaults, without what belongs to the project; the file. `force`: over an older one.

    Raises UserError: `bad-name`, `built-in-preset`, `exists`, `disk-full`, `not-writable`.
    """
    path = place(folder, name, force=force)
    document = tomlkit.document()
    document.add(tomlkit.comment("Settings that differ from the defaults. Paths and names are never part of a preset."))
    document["title"] = path.stem
    document["when"] = " ".join(when.split())[:LONGEST_SENTENCE] or _WHEN
    document["settings"] = worth_saving(settings)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    atomic_write(path, tomlkit.dumps(document))
    return path


def place(folder: Path, name: str, *, force: bool = False) -> Path:
    """The file that a preset of this name would be saved as. Raises UserError: `bad-name`, `built-in-preset`,
    `exists`."""
    path = _path(folder, name)
    if path is None:
        raise UserError(
            "bad-name",
            f'"{inert(name, 100)}" cannot be the name of a preset.',
            f"Use letters, digits, spaces and - up to {LONGEST_NAME} characters, without folders.",
        )
    _not_built_in(path.stem)
    if os.path.lexists(path) and not force:
        raise UserError("exists", f'There is a preset "{path.stem}" already.', "Take another name, or add --force.")
    return path


def find(folder: Path, name: str) -> Path:
    """The file of one, also of a broken one. Raises UserError: `built-in-preset`, `unknown-preset`."""
    _not_built_in(name)
    path = _path(folder, name)
    if path is None or not os.path.lexists(path):
        raise presets.unknown(name, [path.stem for path in sorted(folder.glob("*.toml"))])
    return path


def remove(folder: Path, name: str) -> Path:
    """Delete the file of one; where it was. Raises UserError: as `find` does, and `not-writable`."""
    path = find(folder, name)
    with disk_errors(path):
        path.unlink()
    return path


def _path(folder: Path, name: str) -> Path | None:
    """The file of a name; None where it could lie anywhere else, or be hidden."""
    plain = name.strip().removesuffix(".toml")
    fits = is_plain_name(plain) and len(plain) <= LONGEST_NAME and all(not "\ud800" <= c <= "\udfff" for c in plain)
    return folder / f"{plain}.toml" if fits else None


def _not_built_in(name: str) -> None:
    if name.strip().removesuffix(".toml").casefold() in presets.names():
        raise UserError(
            "built-in-preset", f'The preset "{name}" comes with the program and stays as it is.', "Take another name."
        )


def _read(path: Path) -> Preset:
    """Raises UserError: `bad-preset`, `not-readable`."""
    try:
        return _preset(path, parse_toml(_text(path), path))
    except UserError as error:
        if error.code in ("not-readable", "bad-preset"):
            raise
        raise UserError("bad-preset", error.message, error.hint) from None


def _text(path: Path) -> str:
    with reading_errors(path):
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would never end
            raise UserError("bad-preset", f"{path} is not a file.")
        if about.st_size > MOST_BYTES:
            raise UserError("bad-preset", f"{path} is too large for a preset: {about.st_size:,} bytes.")
        data = path.read_bytes()[:MOST_BYTES]
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("bad-preset", f"{path} is not UTF-8 at byte {error.start}.") from None


def _preset(path: Path, table: dict[str, Any]) -> Preset:
    if path.stem.casefold() in presets.names():
        raise UserError("bad-preset", f"{path} has the name of a preset that comes with the program.", "Rename it.")
    for key in table:
        if key not in _KEYS:
            raise UserError("bad-preset", f'{path}: "{key}" is no part of a preset.', f"Those are {', '.join(_KEYS)}.")
    settings = table.get("settings", {})
    if not isinstance(settings, dict):
        raise UserError("bad-preset", f"{path}: [settings] must be a table.")
    resolve_named([(str(path), settings)])
    notes = table.get("notes", [])
    if not isinstance(notes, list):
        raise UserError("bad-preset", f"{path}: notes must be a list of sentences in quotes.")
    said = [_sentence(path, "notes", note, "") for note in notes[:10]]
    if ours := [name for name in settings if name in OF_THE_PROJECT]:
        said.append(f"Its file also sets {few(ours)}, which no preset does: that is left out.")
    return Preset(
        name=path.stem,
        title=_sentence(path, "title", table.get("title", ""), path.stem),
        when=_sentence(path, "when", table.get("when", ""), _WHEN),
        settings={name: value for name, value in settings.items() if name not in OF_THE_PROJECT},
        notes=tuple(said),
        own=True,
    )


def _sentence(path: Path, key: str, value: object, otherwise: str) -> str:
    if not isinstance(value, str):
        raise UserError("bad-preset", f"{path}: {key} must be a text in quotes.")
    return inert(" ".join(value.split()), LONGEST_SENTENCE) or otherwise
