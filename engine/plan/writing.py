"""What a disk may answer to a write, all of it as a UserError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import disk_errors


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """`disk_errors`, and `not-writable` for the rest too: a disk that is gone, a folder where the file should be."""
    try:
        with disk_errors(path):
            yield
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError("not-writable", f"{path} could not be written: {why}.", "Is its disk still there?") from error
