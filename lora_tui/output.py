"""What the commands print. stdout is for the answer (one JSON object with --json), stderr for everything on the way.

Everything shown passes through `inert`: names of files, captions and checkpoints come from strangers.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import click

from engine.plan.errors import Finding, UserError, inert


def answer(value: dict[str, object]) -> None:
    """Print the one JSON object of a command. Pure ASCII, so no name in it can reach the terminal alive."""
    click.echo(json.dumps(_plain(value), ensure_ascii=True, allow_nan=False))


def say(text: str = "") -> None:
    """One line of the answer for people, on stdout."""
    click.echo(inert(text))


def in_columns(text: str, indent: int) -> str:
    """A text that begins at column `indent`, made inert; on a terminal broken between words, its next rows begin there
    too. For a file or a pipe it stays one line."""
    if not sys.stdout.isatty():
        return inert(text)
    width = max(20, shutil.get_terminal_size().columns - indent)
    rows = textwrap.wrap(inert(text), width, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(rows)


def tell(text: str) -> None:
    """One line about what is going on, on stderr."""
    click.echo(inert(text), err=True)


def fail(error: UserError, as_json: bool) -> None:
    """The line (and with --json the object) of a command that could not do what was asked."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {inert(error)}", err=True)
    if as_json:
        answer({"error": {"code": error.code, "message": error.message, "hint": error.hint}})


def findings(found: Iterable[Finding]) -> None:
    """One line each on stderr: `warning: what is so. What to do.`"""
    colours = {"note": "cyan", "warning": "yellow", "error": "red"}
    for finding in found:
        label = click.style(f"{finding.level}:", fg=colours[finding.level])
        click.echo(f"{label} {inert(finding)}", err=True)


def confirmed(question: str, yes: bool) -> bool:
    """Whether to go on; No where only Enter is pressed. Raises UserError "not-confirmed" where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError("not-confirmed", "Nothing was deleted: nobody is there to be asked.", "Add --yes.")
    if click.confirm(question, default=False, err=True):
        return True
    tell("Nothing was deleted.")
    return False


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def forgive_encodings() -> None:
    """Let a terminal that is not UTF-8 show what it can, instead of ending the command at the first `×`."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
