"""How a setting is mended, as a line that can be pasted."""

from __future__ import annotations

import shlex


def set_line(option: str, value: str, typed: str | None = None) -> str:
    """The line that mends it, for the file and for a shell (`typed`: as text after --set); nothing behind it, not even
    a full stop, that could be taken along."""
    text = value.strip('"') if typed is None else typed
    return f"Set {option} = {value} in project.toml, or --set {shlex.quote(f'{option}={text}')}"
