"""A project that is wished for: what has been typed for it so far, kept until it is made."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import absolute_path, atomic_write
from engine.plan.option_values import is_plain_name
from engine.plan.project import Project
from engine.runs.places import state_dir
from lora_tui.draft import DEFAULT_PRESET
from lora_tui.no_folder import no_folder
from lora_tui.project_edits import refusal


@dataclass
class Wish:
    """What has been typed for a project that is not there yet, as texts."""

    where: str = ""
    trigger: str = ""
    class_name: str = ""
    repeats: str = "25"
    images: str = ""
    link: str = "copy"
    reg: str = ""
    row: str = ""  # the one that is being typed,
    half: str = ""  # and what stands there

    @property
    def folder(self) -> str:
        """Where the project is made: what was typed, or else a folder called like the trigger, here."""
        return self.where or (str(Path.cwd() / self.trigger) if is_plain_name(self.trigger) else "")

    def missing(self) -> tuple[str, str]:
        """(the row, a sentence) of the first thing that is still needed; ("", "") for none."""
        if not self.trigger:
            return "trigger", "Begin with the trigger word, which will call your subject up: Enter, type it, Enter."
        if not is_plain_name(self.trigger):
            return "trigger", "The trigger word becomes part of a folder's name: letters, digits and spaces, please."
        if not is_plain_name(self.class_name):
            return "class", "Say in one plain word what it is, such as man, woman, dog or style."
        if os.path.exists(self.folder) and (not os.path.isdir(self.folder) or os.listdir(self.folder)):
            return "where", f"{self.folder} is there already. Choose another folder."
        for row, folder in (("images", self.images), ("reg", self.reg)):
            if folder and not os.path.isdir(os.path.expanduser(folder)):
                return row, no_folder(folder)
        refused = refusal("repeats", self.repeats)
        return ("repeats", refused) if refused else ("", "")

    def looked_over(self) -> tuple[str, str]:
        """`missing`, also where a folder cannot even be looked at."""
        try:
            return self.missing()
        except (OSError, ValueError) as error:  # a folder that may not be read, a path with a NUL in it
            return "where", f"The folder cannot be looked at: {error}"


def make(wish: Wish) -> Path:
    """The project's folder, made. Raises UserError as `Project.create` does."""
    project = Project.create(
        absolute_path(wish.folder), "", wish.trigger, wish.class_name, int(wish.repeats),
        wish.images or None, wish.reg or None, wish.link == "link",
    )  # fmt: skip
    project.preset = DEFAULT_PRESET
    project.save()
    return project.path


def _wish_path() -> Path:
    return state_dir() / "new-project.json"


def remembered() -> Wish:
    """What was typed the last time, where the project was not made then."""
    with contextlib.suppress(OSError, ValueError, RecursionError, TypeError):
        said = json.loads(_wish_path().read_bytes())
        names = {field.name for field in fields(Wish)}
        return Wish(**{name: text for name, text in said.items() if name in names and isinstance(text, str)})
    return Wish()


def remember(wish: Wish) -> None:
    with contextlib.suppress(UserError, OSError):
        state_dir().mkdir(parents=True, exist_ok=True)
        atomic_write(_wish_path(), json.dumps(asdict(wish), ensure_ascii=True) + "\n")


def forget() -> None:
    with contextlib.suppress(OSError):
        _wish_path().unlink(missing_ok=True)
