"""One line of what `lora-tui doctor` and the screen of the machine say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """ "error": no training can run; "warning": some cannot. advice: what to do, or ""."""

    name: str
    status: Status
    value: str
    advice: str = ""
