"""Bringing one picture into a folder, copied or linked, with the captions that lie beside it.

Nothing in the folder is ever overwritten, and each file appears whole or not at all. Captions are copied even where
pictures are linked, so that editing one never touches the folder it came from; they come first, so that whoever is
stopped between the two and starts again gets both.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from engine.plan.captions import caption_candidates
from engine.plan.errors import UserError
from engine.plan.files import mount_point, reading_errors
from engine.plan.pictures import EXTENSIONS

CAPTION_EXTENSIONS = (".txt", ".caption")

_BLOCK_BYTES = 1 << 20
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@dataclass(frozen=True)
class Brought:
    """What became of a picture. added: False where it was there already. captions: how many were copied with it."""

    added: bool
    renamed: bool
    captions: int


def bring(picture: Path, folder: Path, *, link: bool = False) -> Brought:
    """Copy or link `picture` into `folder`, with its captions.

    A picture of that name with the same bytes is not copied again, and gets only captions that it lacks. Where another
    picture has the name, or a caption of other words would count for it, it becomes `name-2.png`, with `name-2.txt`.
    Raises UserError `not-readable` and `no-links`, and OSError for what cannot be written.
    """
    there = list(captions_of(picture))
    for number in count(1):
        place = folder / (picture.name if number == 1 else f"{picture.stem}-{number}{picture.suffix}")
        # Of `hat.txt` beside `hat.png` that became `hat-2.png` the name is `hat-2.txt`; the best caption wins it.
        captions: dict[Path, Path] = {}
        for caption in there:
            captions.setdefault(folder / (caption.name if number == 1 else f"{place.stem}{caption.suffix}"), caption)
        if os.path.lexists(place):
            if _same_bytes(picture, place):
                return Brought(False, False, _copy_missing(captions))
        elif _would_be_its_own(place, captions):
            copied = _copy_missing(captions)
            with contextlib.suppress(FileExistsError):  # somebody else took the name just now: the next one, then
                if link:
                    _link(picture, place)
                else:
                    _copy(picture, place)
                return Brought(True, number > 1, copied)
    raise AssertionError("there is always another number")


def captions_of(picture: Path) -> Iterator[Path]:
    """The caption files that lie beside a picture, for each ending the best first."""
    for extension in CAPTION_EXTENSIONS:
        for caption in caption_candidates(picture, extension):
            if caption.is_file():
                yield caption


def _would_be_its_own(place: Path, captions: dict[Path, Path]) -> bool:
    """Whether a picture put at `place` has the captions it comes with, and not those of another picture."""
    if captions:
        return all(not os.path.lexists(new) or _same_bytes(old, new) for new, old in captions.items())
    if not any(place.with_name(place.stem + extension).is_file() for extension in CAPTION_EXTENSIONS):
        return True
    return not any(place.with_suffix(extension).exists() for extension in EXTENSIONS)


def _copy_missing(captions: dict[Path, Path]) -> int:
    """Copy the captions that are not there; how many these were."""
    copied = 0
    for new, old in captions.items():
        if not os.path.lexists(new):
            with contextlib.suppress(FileExistsError):
                _copy(old, new)
                copied += 1
    return copied


def _copy(source: Path, place: Path) -> None:
    """Raises FileExistsError where something is at `place`."""
    with reading_errors(source):
        reader = open(source, "rb")  # noqa: SIM115
    with reader:
        handle, beside = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=place.parent)
        try:
            with os.fdopen(handle, "wb") as writer:
                while block := _block(reader, source):
                    writer.write(block)
            os.chmod(beside, 0o644)
            _rename_without_overwriting(beside, place)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def _block(reader: BinaryIO, source: Path) -> bytes:
    with reading_errors(source):
        return reader.read(_BLOCK_BYTES)


def _rename_without_overwriting(beside: str, place: Path) -> None:
    try:
        os.link(beside, place)  # a rename would replace what somebody put there a moment ago
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, as memory cards are
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place)) from None
        os.rename(beside, place)


def _link(picture: Path, place: Path) -> None:
    try:
        os.symlink(picture.resolve(), place)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise UserError(
            "no-links", f"The disk at {mount_point(place)} cannot hold links.", "Copy the pictures instead."
        ) from error


def _same_bytes(one: Path, other: Path) -> bool:
    """Whether two files have the same content; False where `other` is no file that can be read."""
    with reading_errors(one):
        size, reader = one.stat().st_size, open(one, "rb")  # noqa: SIM115
    with reader:
        try:
            if not other.is_file() or other.stat().st_size != size:
                return False
            with open(other, "rb") as second:
                while block := _block(reader, one):
                    if second.read(_BLOCK_BYTES) != block:
                        return False
                return not second.read(1)
        except OSError:
            return False
