"""The formats of LoRA files, and which one a file has, by the names of its tensors alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

FORMATS = ("kohya", "diffusers")
"""The first is what a training writes; every program reads it, diffusers too."""
_NEW_NAMES = re.compile(r"\.(lora_[AB](\.default)?|(lora|lora_linear_layer|to_([qkv]|out)_lora)\.(down|up))\.weight$")


def is_of_diffusers(names: Iterable[str]) -> bool:
    """Whether a file's layers have names of PEFT or diffusers, which A1111, Forge and sd-scripts do not read.

    What has a layer under sd-scripts' names (`….lora_down.weight`) is a file of theirs.
    """
    several = list(names)
    return not any(n.endswith(".lora_down.weight") for n in several) and any(map(_NEW_NAMES.search, several))
