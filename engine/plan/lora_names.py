"""What the LoRA of a run is called: as it is wanted, or with a number where an earlier run has that name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.errors import UserError
from engine.plan.option_values import plain_name
from engine.plan.safetensors_header import read_header

if TYPE_CHECKING:
    from engine.plan.settings import Settings


def is_own(path: Path, session_id: int) -> bool:
    """Whether the LoRA at `path` was written by the run with this `ss_session_id`."""
    try:
        return read_header(path)[1].get("ss_session_id") == str(session_id)
    except UserError:
        return False  # whatever it is, it is not ours


def wanted_name(settings: Settings, project_name: str) -> str:
    """What the LoRA of a training is to be called, without its ending. (A kohya folder may be called anything.)"""
    return settings.output_name or plain_name(project_name)


def free_name(model_dir: Path, wanted: str, session_id: int | None = None) -> str:
    """`wanted`, or with -2, -3, … where another run has a LoRA of that name (any epoch or step) in `model_dir`.

    session_id: of the run itself, whose own LoRAs take no name away; None for a run that is still to come.
    """
    files = model_dir.glob("*.safetensors") if model_dir.is_dir() else ()
    alike = (path for path in files if path.stem.startswith(wanted))
    taken = {path.stem for path in alike if session_id is None or not is_own(path, session_id)}

    def is_taken(name: str) -> bool:
        return any(re.fullmatch(re.escape(name) + r"(-\d{6}|-step\d{8})?", stem) for stem in taken)

    name, number = wanted, 1
    while is_taken(name):
        number += 1
        name = f"{wanted}-{number}"
    return name
