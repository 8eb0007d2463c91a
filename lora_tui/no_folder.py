"""Why a path that was given for a folder of pictures is none."""

from __future__ import annotations

from pathlib import Path

from engine.plan.errors import UserError, inert
from engine.plan.picture_kinds import require_no_file

SHOWN_CHARACTERS = 200


def no_folder(path: str) -> str:
    """The sentence for a path that is no folder: a video or an archive has one of its own."""
    try:
        require_no_file(Path(path), "what is taken over")
    except UserError as error:
        return str(error)
    except (OSError, ValueError):
        pass
    return f"{inert(path, SHOWN_CHARACTERS)} is no folder that is there."
