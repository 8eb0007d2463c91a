"""Writing captions: one line, whole or not at all, and never without keeping what was there before.

What is replaced lies in the project's `.lora-tui/backups/`, and each change stands as a line in `.lora-tui/undo.jsonl`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from pathlib import Path

from engine.plan.captions import MAX_CAPTION_BYTES, caption_candidates, caption_file, read_caption
from engine.plan.errors import UserError
from engine.plan.files import atomic_write, open_no_link, reading_errors
from engine.plan.writing import writing

KEPT_CONTENTS = 20
"""How many former contents of each caption file are kept: the first there was, and the newest."""

OWN_FOLDER = ".lora-tui"

_BACKUP_NAME = re.compile(r"(?P<time>\d{19,})-(?P<digest>[0-9a-f]{16})\.bak")


def read_for_editing(picture: Path, extension: str) -> str:
    """The caption of a picture as an editor shows it: its first line, "" where there is none. Raises NotUTF8Error."""
    return read_caption(picture, extension, "").text


def write_caption(project_path: Path, picture: Path, text: str, extension: str) -> Path:
    """Make `text` the caption of `picture`, as one line; line ends in it become spaces. Returns the caption's file.

    A caption that says the same already is not touched, not by a byte; "" makes it an empty line. Where anything goes
    wrong the old one is as it was. Raises UserError: `disk-full`, `not-writable`, `not-readable`, `is-a-link`,
    `caption-too-long`, and NotUTF8Error, which is one too, for a file that an editor could not have shown.
    """
    path = caption_file(picture, extension) or caption_candidates(picture, extension)[0]
    before = read_for_editing(picture, extension) if path.is_file() else None
    after = re.sub(r"^[\s\ufeff]+", "", _one_line(text))  # a byte-order mark at the beginning is not read back
    if before in (text, after, _one_line(text)):
        return path
    data = f"{after}\n".encode()
    if len(data) > MAX_CAPTION_BYTES:
        raise UserError("caption-too-long", "A caption cannot have over a million characters.", "A line is enough.")
    log = _open_log(project_path)  # first, so that a disk that cannot be written says so before anything has changed
    try:
        if before is not None:
            _keep(project_path, path)
        if path.is_symlink() and not _leads_to_a_caption_of(project_path, path, extension):
            _replace_link(path, data)
        else:
            with writing(path):
                atomic_write(path, data)
        _note(log, project_path, path, before, after)
    finally:
        os.close(log)
    return path


def remove_caption(project_path: Path, picture: Path, extension: str) -> None:
    """Have the picture without a caption again, for which one was written here; its text is kept in the backups.

    Raises UserError as `write_caption` does.
    """
    path = caption_file(picture, extension)
    if path is None:
        return
    before = read_for_editing(picture, extension)
    log = _open_log(project_path)
    try:
        _keep(project_path, path)
        with writing(path):
            path.unlink()
        _note(log, project_path, path, before, "")
    finally:
        os.close(log)


def _one_line(text: str) -> str:
    # Halves of a UTF-16 pair, which some terminals send, become whole characters; UTF-8 cannot hold one alone.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return re.sub(r"\s*[\r\n]+\s*", " ", whole).strip()


def _leads_to_a_caption_of(project_path: Path, path: Path, extension: str) -> bool:
    """Whether a linked caption is another caption of the project; all else is somebody's who only reads it here."""
    target = Path(os.path.realpath(path))
    return target.is_file() and target.suffix == extension and target.is_relative_to(os.path.realpath(project_path))


def _replace_link(path: Path, data: bytes) -> None:
    """Put a file of its own where the link is; what it leads to stays as it is."""
    with writing(path), tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as beside:
        own = Path(beside) / path.name
        atomic_write(own, data)
        os.replace(own, path)


def _keep(project_path: Path, path: Path) -> None:
    """A copy of the file as it is, in the project's backups; the same content only once."""
    with reading_errors(path), open(path, "rb") as file:
        content = file.read(MAX_CAPTION_BYTES + 1)
    if len(content) > MAX_CAPTION_BYTES:
        raise UserError(
            "caption-too-long",
            f"{path} has over a million characters, which is no caption; it was not written over.",
            "Move it to another place.",
        )
    folder = project_path / OWN_FOLDER / "backups" / _relative(project_path, path)
    digest = hashlib.sha256(content).hexdigest()[:16]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        kept = sorted((int(m["time"]), m["digest"]) for m in map(_BACKUP_NAME.fullmatch, os.listdir(folder)) if m)
        now = max(time.time_ns(), kept[-1][0] + 1 if kept else 0)  # in order, also where the clock was set back
        new = folder / _backup_name(now, digest)
        same = next((one for one in kept if one[1] == digest), None)
        if same is None:
            atomic_write(new, content)
            # What the user came with is worth most: the first is never dropped, however often is saved while typing.
            for old in kept[1 : max(1, len(kept) + 2 - KEPT_CONTENTS)]:
                (folder / _backup_name(*old)).unlink(missing_ok=True)
        elif same != kept[0]:
            os.rename(folder / _backup_name(*same), new)


def _backup_name(nanoseconds: int, digest: str) -> str:
    return f"{nanoseconds:019}-{digest}.bak"


def _open_log(project_path: Path) -> int:
    file = project_path / OWN_FOLDER / "undo.jsonl"
    with writing(file):
        file.parent.mkdir(exist_ok=True)
        return open_no_link(file, os.O_RDWR | os.O_APPEND | os.O_CREAT)


def _note(log: int, project_path: Path, path: Path, before: str | None, after: str) -> None:
    event = {
        "v": 1,
        "time": round(time.time(), 3),
        "path": _relative(project_path, path).as_posix(),
        "before": before,
        "after": after,
    }
    data = (json.dumps(event) + "\n").encode()
    # The caption stands by now, and its former content is kept: a full disk is no reason to say that it does not.
    with contextlib.suppress(OSError):
        size = os.fstat(log).st_size
        if size and os.pread(log, 1, size - 1) != b"\n":
            data = b"\n" + data  # a full disk tore the last line
        os.write(log, data)


def _relative(project_path: Path, path: Path) -> Path:
    """Where a caption stands in the project; the project may have been given by way of a link."""
    folder, root = path.parent, project_path
    if not folder.is_relative_to(root) or ".." in folder.parts:
        folder, root = folder.resolve(), root.resolve()
    if folder.is_relative_to(root):
        return folder.relative_to(root) / path.name
    return Path("elsewhere", *folder.parts[1:], path.name)
