"""Presets: named sets of settings from TOML files, each with a sentence on when to use it.

Those that come with the program lie in `presets/` at the root of the repository, and beside this package in an
installed wheel. A person's own are read in `own_presets`; what one changes in a project stands in `preset_changes`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.settings import nearest, resolve

_ENGINE = Path(__file__).resolve().parent.parent

DEFAULT = "guide"
"""Its values are the defaults of the options."""

OF_THE_PROJECT = frozenset(
    {
        "pretrained_model_name_or_path",
        "vae",
        "network_weights",
        "output_name",
        "training_comment",
        "sample_prompts",
        "caption_extension",
        "caption_prefix",
        "caption_suffix",
        "caption_separator",
        "secondary_separator",
        "keep_tokens_separator",
    }
)
"""Options that no preset sets, and that stay as they are when one is taken: paths, names, words of the subject's own,
and how this project's caption files are written."""

_ORDER = (
    DEFAULT, "character", "style", "object", "high-quality", "fast-draft", "v-pred", "low-memory-8gb",
    "low-memory-12gb", "low-memory-16gb", "low-memory-24gb",
)  # fmt: skip
"""As they are listed: what is trained, how well, on what; all others after them."""


@dataclass(frozen=True)
class Preset:
    """A named set of settings. when: a sentence on when to use it; notes: what to know, a sentence each.

    own: whether a person has saved it, and it does not come with the program.
    """

    name: str
    title: str
    when: str
    settings: dict[str, object]
    notes: tuple[str, ...] = ()
    own: bool = False


def folder() -> Path:
    """Where the presets lie: in the wheel `engine/presets`, in the repository `presets`."""
    shipped = _ENGINE / "presets"
    return shipped if shipped.is_dir() else _ENGINE.parent / "presets"


def names() -> list[str]:
    """The names of all presets that come with the program, the guide's first."""
    found = sorted(path.stem for path in folder().glob("*.toml"))
    return sorted(found, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


@cache
def load(name: str) -> Preset:
    """The preset `name`; the files are ours, and are read once. Do not change what is returned.

    Raises UserError: `unknown-preset`, or `bad-value` and `unknown-option` for a faulty one.
    """
    if name not in names():
        raise unknown(name, names())
    with open(folder() / f"{name}.toml", "rb") as file:
        table = tomllib.load(file)
    settings = table.get("settings", {})
    resolve(settings)
    return Preset(name, table["title"], table["when"], settings, tuple(table.get("notes", ())))


def unknown(name: str, known: list[str]) -> UserError:
    """The refusal of a name that is none of the `known` ones."""
    return UserError(
        "unknown-preset",
        f'There is no preset "{name}".',
        f"The nearest one is {nearest(name, known)}; presets are: {', '.join(known)}." if known else "",
    )
