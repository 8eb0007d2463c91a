"""Presets: named sets of settings from TOML files, each with a sentence on when to use it.

They lie in `presets/` at the root of the repository, and beside this package in an installed wheel.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.settings import nearest, resolve

_ENGINE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Preset:
    """A named set of settings. when: a sentence on when to use it; notes: what to know, a sentence each."""

    name: str
    title: str
    when: str
    settings: dict[str, object]
    notes: tuple[str, ...] = ()


def folder() -> Path:
    """Where the presets lie: in the wheel `engine/presets`, in the repository `presets`."""
    shipped = _ENGINE / "presets"
    return shipped if shipped.is_dir() else _ENGINE.parent / "presets"


def names() -> list[str]:
    """The names of all presets, the guide's first."""
    found = sorted(path.stem for path in folder().glob("*.toml"))
    return sorted(found, key=lambda name: name != "guide")


@cache
def load(name: str) -> Preset:
    """The preset `name`; the files are ours, and are read once. Do not change what is returned.

    Raises UserError: `unknown-preset`, or `bad-value` and `unknown-option` for a faulty one.
    """
    if name not in names():
        known = names()
        raise UserError(
            "unknown-preset",
            f'There is no preset "{name}".',
            f"The nearest one is {nearest(name, known)}; presets are: {', '.join(known)}." if known else "",
        )
    with open(folder() / f"{name}.toml", "rb") as file:
        table = tomllib.load(file)
    settings = table.get("settings", {})
    resolve(settings)
    return Preset(name, table["title"], table["when"], settings, tuple(table.get("notes", ())))
