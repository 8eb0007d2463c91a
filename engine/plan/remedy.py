"""How a setting is mended, as a line that can be pasted."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping


def set_line(option: str, value: str, typed: str | None = None) -> str:
    """The line that mends it, for the file and for a shell (`typed`: as text after --set); nothing behind it, not even
    a full stop, that could be taken along."""
    text = value.strip('"') if typed is None else typed
    return f"Set {option} = {value} in project.toml, or --set {shlex.quote(f'{option}={text}')}"


def set_lines(changes: Mapping[str, object]) -> str:
    """As `set_line`, for options that are changed together."""
    in_file = ", ".join(f"{option} = {_toml(value)}" for option, value in changes.items())
    typed = " ".join(f"--set {shlex.quote(f'{option}={_text(value)}')}" for option, value in changes.items())
    return f"Set {in_file} in project.toml, or {typed}"


def _toml(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
