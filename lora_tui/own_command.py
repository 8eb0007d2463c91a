"""How this program is called in a shell here: `lora-tui`, or by its path where the shell would not find that."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "lora-tui"


def own_command(*arguments: str | Path) -> str:
    """The command line that starts this very installation with these arguments, quoted for a shell."""
    own = Path(sys.argv[0])
    found = shutil.which(NAME)
    program = NAME
    if own.name == NAME and own.is_file() and (found is None or not os.path.samefile(found, own)):
        path = own.absolute()
        program = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    return shlex.join([program, *(str(argument) for argument in arguments)])
