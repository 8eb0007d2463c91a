"""Copying a text to the computer one sits at. Many terminals, and tmux, refuse without a word: it is kept too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.app import App

from engine.plan.errors import inert
from engine.plan.files import atomic_write, disk_errors

FILE_NAME = "clipboard.txt"


def copy(app: App[Any], text: str, folder: Path) -> str:
    """Ask the terminal to copy `text`, and write it into a file in `folder`. A sentence on both.

    Raises UserError where the file cannot be written; the terminal has been asked then.
    """
    app.copy_to_clipboard(text.encode("utf-8", "replace").decode("utf-8"))
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    atomic_write(folder / FILE_NAME, text.encode("utf-8", "surrogateescape") + b"\n")
    return f"The terminal was asked to copy it. It also lies in {inert(folder / FILE_NAME)}"
