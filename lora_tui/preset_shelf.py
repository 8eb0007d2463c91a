"""All presets that somebody can start from: those of the program, then their own; and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.plan import own_presets, presets
from engine.plan.own_presets import Broken
from engine.plan.preset_changes import Change
from engine.plan.presets import Preset
from engine.plan.settings import Settings
from engine.runs.places import presets_dir
from lora_tui.option_texts import shown_value


def shelf() -> tuple[list[Preset], list[Broken]]:
    """Every preset there is, the guide's first, and the files of one's own that cannot be used."""
    own, broken = own_presets.found(presets_dir())
    return [*(presets.load(name) for name in presets.names()), *own], broken


def find(name: str) -> Preset:
    """The preset of this name. Raises UserError: `unknown-preset`, `bad-preset`, `not-readable`."""
    if name in presets.names():
        return presets.load(name)
    all_of_them, broken = shelf()
    if name not in [*(preset.name for preset in all_of_them), *(file.name for file in broken)]:
        raise presets.unknown(name, [preset.name for preset in all_of_them])
    return own_presets.load(presets_dir(), name)


WHEN = "When would you use it, in one sentence?"


def save(name: str, settings: Settings, when: str = "", *, force: bool = False) -> Path:
    """Save settings as a preset of one's own. Raises UserError as `own_presets.save` does."""
    return own_presets.save(presets_dir(), name, settings, when, force=force)


def check_name(name: str, *, force: bool = False) -> None:
    """Whether `save` would take this name. Raises UserError as `own_presets.place` does."""
    own_presets.place(presets_dir(), name, force=force)


def find_own(name: str) -> Path:
    """The file of one of one's own. Raises UserError as `own_presets.find` does."""
    return own_presets.find(presets_dir(), name)


def remove(name: str) -> Path:
    """Delete one of one's own. Raises UserError as `own_presets.remove` does."""
    return own_presets.remove(presets_dir(), name)


def title_of(name: str | None) -> str:
    """What the settings of a project start from, in words."""
    return presets.load(name).title if name in presets.names() and name else "none: each option's own default"


def told(change: Change) -> tuple[str, str, str]:
    """(title, value before, value after) as people read them."""
    option = change.option
    return option.title, shown_value(option, change.before), shown_value(option, change.after)


def counted(changes: Sequence[Change]) -> str:
    """How much a preset would change, in words."""
    if not changes:
        return "changes nothing"
    return f"changes {len(changes)} setting{'' if len(changes) == 1 else 's'}"
