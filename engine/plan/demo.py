"""The demo project: copied from the package to where the user wants it. What is in it is made in `engine.demo`."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import absolute_path, disk_errors, require_utf8, whole_folder
from engine.plan.project import Project

DEFAULT_FOLDER = "lora-tui-demo"
HELD_OUT = "held_out"  # pictures of the character that are never trained on; only the demo project has them


def prepare(target: Path | str) -> Project:
    """The demo project in `target`: made whole or not at all, or the one that is there already.

    Raises UserError: `exists` for a folder that is something else, `no-demo` for a broken installation, `not-utf8`,
    `disk-full`, `not-writable`.
    """
    folder = absolute_path(target)
    if folder.is_dir() and any(folder.iterdir()):
        if not ((folder / "project.toml").is_file() and (folder / HELD_OUT).is_dir()):
            raise UserError("exists", f"{folder} exists and is not the demo project.", "Choose another folder.")
        return Project.open(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError("exists", f"{folder} exists and is no folder.", "Choose another folder.")
    shipped = files("engine") / "demo" / "project"
    if not shipped.is_dir():
        raise UserError("no-demo", "This installation has no demo project.", "Install lora-tui again.")
    require_utf8(folder)
    with as_file(shipped) as source, disk_errors(folder), whole_folder(folder) as partial:
        # Contents only: an installed package may be read-only, and the copy must not be.
        shutil.copytree(source, partial, dirs_exist_ok=True, copy_function=shutil.copyfile)
        for path in (partial, *partial.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
    return Project.open(folder)
