"""Writing captions: one line, whole or not at all, and never without keeping what was there before.

What is replaced lies in the project's `.lora-tui/backups/`, and each change stands as a line in `.lora-tui/undo.jsonl`.
Changes of many captions, and undo and redo, are `caption_history`'s, which writes through `put`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import tempfile
import time
from pathlib import Path

from engine.plan import caption_log
from engine.plan.caption_log import OWN_FOLDER
from engine.plan.captions import (
    MAX_CAPTION_BYTES,
    caption_candidates,
    caption_file,
    read_caption,
)
from engine.plan.errors import UserError
from engine.plan.files import atomic_write, reading_errors
from engine.plan.writing import writing

KEPT_CONTENTS = 20
"""How many former contents of each caption file are kept: the first there was, and the newest."""

ELSEWHERE = "elsewhere"

_BACKUP_NAME = re.compile(r"(?P<time>\d{19,})-(?P<digest>[0-9a-f]{16})\.bak")


def read_for_editing(picture: Path, extension: str) -> str:
    """The caption of a picture as an editor shows it: its first line, "" where there is none. Raises NotUTF8Error."""
    return read_caption(picture, extension, "").text


def write_caption(project_path: Path, picture: Path, text: str, extension: str) -> Path:
    """Make `text` the caption of `picture`, as one line; line ends in it become spaces. Returns the caption's file.

    A caption that says the same already is not touched, not by a byte; "" makes it an empty line. Where anything goes
    wrong the old one is as it was. Raises UserError: `disk-full`, `not-writable`, `not-readable`, `is-a-link`,
    `caption-too-long`, `captions-busy`, and NotUTF8Error, which is one too, for a file that an editor could not have
    shown.
    """
    path = caption_path(picture, extension)
    before = read_for_editing(picture, extension) if path.is_file() else None
    if before in (text, one_line(text), _one_line(text)):
        return path
    data = line_bytes(text)
    # The list first, so that a disk that cannot be written says so before anything has changed.
    with caption_log.opened(project_path) as log:
        was = contents(path)
        put(project_path, path, was, data, extension)
        _note(log, project_path, path, before, one_line(text), was, data)
    return path


def remove_caption(project_path: Path, picture: Path, extension: str) -> None:
    """Have the picture without a caption again, for which one was written here; its text is kept in the backups.

    Raises UserError as `write_caption` does.
    """
    path = caption_file(picture, extension)
    if path is None:
        return
    before = read_for_editing(picture, extension)
    with caption_log.opened(project_path) as log:
        was = contents(path)
        put(project_path, path, was, None, extension)
        _note(log, project_path, path, before, "", was, None)


def caption_path(picture: Path, extension: str) -> Path:
    """The caption file of a picture: the one there is, else where it will stand."""
    return caption_file(picture, extension) or caption_candidates(picture, extension)[0]


def one_line(text: str) -> str:
    """A text as it is written and read back: line ends are spaces, and none stand around it."""
    return re.sub(r"^[\s\ufeff]+", "", _one_line(text))  # a byte-order mark at the beginning is not read back


def line_bytes(text: str) -> bytes:
    """The file of a caption. Raises UserError `caption-too-long`."""
    data = f"{one_line(text)}\n".encode()
    if len(data) > MAX_CAPTION_BYTES:
        raise UserError("caption-too-long", "A caption cannot have over a million characters.", "A line is enough.")
    return data


def contents(path: Path) -> bytes | None:
    """The bytes of a caption file, None where there is none.

    Raises UserError `not-readable`, `caption-too-long` for a file that is no caption.
    """
    if not path.is_file():
        return None
    with reading_errors(path), open(path, "rb") as file:
        content = file.read(MAX_CAPTION_BYTES + 1)
    if len(content) > MAX_CAPTION_BYTES:
        raise UserError(
            "caption-too-long",
            f"{path} has over a million characters, which is no caption; it was not written over.",
            "Move it to another place.",
        )
    return content


def digest_of(content: bytes | None) -> str:
    """By which the bytes of a caption file are known again; "" where there is no file."""
    return "" if content is None else hashlib.sha256(content).hexdigest()[:16]


def put(
    project_path: Path, path: Path, was: bytes | None, data: bytes | None, extension: str, *, lasting: bool = True
) -> None:
    """Make `data` the bytes of a caption file, or have no such file; `was`, its contents, are kept as a backup.

    The lowest way to write a caption: nothing is noted for undo. Raises UserError.
    """
    if was is not None:
        keep(project_path, path, was, lasting=lasting)
    if data is None:
        if was is not None:
            with writing(path):
                path.unlink()
    elif path.is_symlink() and not _leads_to_a_caption_of(project_path, path, extension):
        _replace_link(path, data)
    else:
        with writing(path):
            atomic_write(path, data, lasting=lasting)


def packed(content: bytes | None) -> object:
    """The bytes of a caption file for a line of JSON: text where they are UTF-8."""
    if content is None:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def unpacked(value: object) -> bytes | None:
    """The opposite of `packed`. Raises ValueError for what it did not make."""
    match value:
        case None:
            return None
        case str():
            return value.encode("utf-8")
        case {"base64": str(text)}:
            return base64.b64decode(text, validate=True)
    raise ValueError(f"no contents: {value!r}")


def relative(project_path: Path, path: Path) -> Path:
    """Where a caption stands in the project, which may have been given by way of a link; outside of it all of its path,
    behind "elsewhere"."""
    folder, root = path.parent, project_path
    if not folder.is_relative_to(root) or ".." in folder.parts:
        folder, root = folder.resolve(), root.resolve()
    if folder.is_relative_to(root):
        return folder.relative_to(root) / path.name
    return Path(ELSEWHERE, *folder.parts[1:], path.name)


def keep(project_path: Path, path: Path, content: bytes, *, lasting: bool = True) -> None:
    """A copy of what is, or was to be, in a caption file, in the project's backups; the same content only once."""
    folder = project_path / OWN_FOLDER / "backups" / relative(project_path, path)
    digest = digest_of(content)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        kept = sorted((int(m["time"]), m["digest"]) for m in map(_BACKUP_NAME.fullmatch, os.listdir(folder)) if m)
        now = max(time.time_ns(), kept[-1][0] + 1 if kept else 0)  # in order, also where the clock was set back
        new = folder / _backup_name(now, digest)
        same = next((one for one in kept if one[1] == digest), None)
        if same is None:
            atomic_write(new, content, lasting=lasting)
            # What the user came with is worth most: the first is never dropped, however often is saved while typing.
            for old in kept[1 : max(1, len(kept) + 2 - KEPT_CONTENTS)]:
                (folder / _backup_name(*old)).unlink(missing_ok=True)
        elif same != kept[0]:
            os.rename(folder / _backup_name(*same), new)


def backups_of(project_path: Path, path: Path) -> list[Path]:
    """The files that hold former contents of a caption, the oldest first."""
    folder = project_path / OWN_FOLDER / "backups" / relative(project_path, path)
    with contextlib.suppress(OSError):
        return sorted(folder / name for name in os.listdir(folder) if _BACKUP_NAME.fullmatch(name))
    return []


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


def _backup_name(nanoseconds: int, digest: str) -> str:
    return f"{nanoseconds:019}-{digest}.bak"


def _note(
    log: caption_log.Log,
    project_path: Path,
    path: Path,
    before: str | None,
    after: str,
    was: bytes | None,
    now: bytes | None,
) -> None:
    # The caption stands by now, and its former content is kept: a full disk is no reason to say that it does not.
    with contextlib.suppress(UserError):
        log.append(
            {
                "v": 1,
                "time": round(time.time(), 3),
                "path": relative(project_path, path).as_posix(),
                "before": before,
                "after": after,
                "was": packed(was),
                "now": packed(now),
            }
        )
