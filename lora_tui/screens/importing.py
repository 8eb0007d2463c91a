"""From a key of the settings' screen to a file and back: choosing it, reading it in a thread, taking what it gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.plan.errors import UserError, inert, plural
from engine.plan.kohya.opening import SUFFIXES
from lora_tui.aside import aside, or_error
from lora_tui.in_rows import in_rows
from lora_tui.screens.browse import Browse

if TYPE_CHECKING:
    from engine.plan.kohya.outcome import Outcome
    from lora_tui.screens.settings import SettingsPage

TITLE = "Settings of kohya's programs (.json, .toml, .txt) or of a LoRA (.safetensors)"


def choose_file(page: SettingsPage) -> None:
    """Ask for a file, beginning in the folder that the project lies in."""

    def taken(path: Path | None) -> None:
        if path is not None:
            _read(page, path)

    page.app.push_screen(Browse(page.draft.path.parent, title=TITLE, folders=False, suffixes=SUFFIXES), taken)


def _read(page: SettingsPage, path: Path) -> None:
    from engine.plan.kohya.applying import read_for

    project = page.draft.project
    page.say("ok", "Reading the file…")
    aside(
        lambda: or_error(lambda: read_for(path, project), "The file could not be read"),
        lambda found: _show(page, path, found),
    )


def _show(page: SettingsPage, path: Path, found: Outcome | UserError) -> None:
    from engine.plan.kohya.applying import changes
    from lora_tui.screens.imported import ImportedScreen

    if isinstance(found, UserError):
        page.say("x", in_rows(str(found)))
        return
    if not page.is_current:  # somebody has gone elsewhere in the meantime
        return
    what = changes(page.draft.project, found.settings)

    def taken() -> None:
        trouble, undo = page.draft.take_values(found.settings), page.key("undo")
        told = f"{plural(len(what), 'setting')} as in {inert(path.name, 60)} now; {undo} takes that back."
        page.call_later(page.done, trouble, told)  # coming back to the page would wipe it

    page.app.push_screen(ImportedScreen(path.name, found, what, taken))
