"""Writing captions: one line, whole or not at all, and never without keeping what was there before.

What is replaced lies in the project's `.lora-tui/backups/`, and each change stands as a line in `.lora-tui/undo.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from engine.plan.captions import caption_candidates, read_caption
from engine.plan.files import atomic_write, disk_errors, reading_errors

KEPT_VERSIONS = 20  # of each caption; the oldest go first
OWN_FOLDER = ".lora-tui"


def read_for_editing(picture: Path, extension: str) -> str:
    """The caption of a picture as an editor shows it: its first line, "" where there is none. Raises NotUTF8Error."""
    return read_caption(picture, extension, "").text


def write_caption(project: Path, picture: Path, text: str, extension: str) -> Path:
    """Make `text` the caption of `picture`; line ends in it become spaces. Returns the caption's file.

    A caption that says the same already is not touched, not by a byte. Raises UserError `disk-full`, `not-writable`,
    `not-readable`, and NotUTF8Error where what is there is no text; then the file is as it was.
    """
    candidates = caption_candidates(picture, extension)
    path = next((found for found in candidates if found.is_file()), candidates[0])
    line = " ".join(text.split("\n")).replace("\r", " ").strip()
    there = path.is_file()
    if there and read_caption(picture, extension, "").text == line:
        return path
    if there:
        _keep(project, path)
    before = read_caption(picture, extension, "").text if there else None
    if path.is_symlink():
        # Whoever linked it keeps the file; the project gets one of its own.
        with disk_errors(path):
            path.unlink()
    atomic_write(path, f"{line}\n")
    _note(project, path, before, line)
    return path


def _keep(project: Path, path: Path) -> None:
    """A copy of the file as it is, in the project's backups; the same content only once."""
    with reading_errors(path):
        content = path.read_bytes()
    folder = project / OWN_FOLDER / "backups" / _relative(project, path)
    digest = hashlib.sha256(content).hexdigest()[:12]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        kept = sorted(folder.iterdir())
        if any(digest in old.name for old in kept):
            return
        atomic_write(folder / f"{time.time_ns()}-{digest}{path.suffix}", content)
        for old in kept[: max(0, len(kept) + 1 - KEPT_VERSIONS)]:
            old.unlink(missing_ok=True)


def _note(project: Path, path: Path, before: str | None, after: str) -> None:
    event = {"v": 1, "time": round(time.time(), 3), "path": str(_relative(project, path)), "before": before}
    line = json.dumps(event | {"after": after}, ensure_ascii=True) + "\n"
    file = project / OWN_FOLDER / "undo.jsonl"
    with disk_errors(file):
        file.parent.mkdir(exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def _relative(project: Path, path: Path) -> Path:
    return path.relative_to(project) if path.is_relative_to(project) else Path(path.name)
