"""From a key of the settings' screen to files for sd-scripts: asking for the folder, and telling what was written."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.text import Text

from engine.plan.errors import UserError, inert
from engine.plan.files import absolute_path
from lora_tui.aside import aside, or_error
from lora_tui.in_rows import in_rows
from lora_tui.paths import clean
from lora_tui.screens.dialogs import Ask
from lora_tui.screens.found import finding_lines
from lora_tui.screens.reading import Reading
from lora_tui.sd_scripts import WRITES, Written, usual_folder, write_project
from lora_tui.widgets.paint import DIM, PLAIN, STRONG, line

if TYPE_CHECKING:
    from lora_tui.screens.settings import SettingsPage

_INTO = "Export the settings for kohya's sd-scripts, into which folder?"


class ExportedScreen(Reading):
    """The files, how to train with them, and what sd-scripts does not do."""

    TITLE_WORDS = "Exported for sd-scripts"
    BELOW = "Nothing in the project is changed by it."

    def __init__(self, written: Written) -> None:
        super().__init__()
        self.written = written

    def lines(self, width: int) -> list[Text]:
        rows = [line((" Written:", STRONG))]
        rows += [line((f"   {part}", PLAIN)) for file in self.written.files for part in _whole(str(file), width - 2)]
        rows += [line(), line((" To train with them, where sd-scripts is installed:", STRONG))]
        rows += [line((f"   {part}", PLAIN)) for part in _whole(self.written.command, width - 2)]
        if self.written.findings:
            rows += [line(), line((" What sd-scripts does not do, or not by itself:", STRONG))]
        for finding in self.written.findings:
            rows += [line(), *finding_lines(finding, width - 4)]
        return [*rows, line(), line((" What is not exported stands in the configuration as a comment.", DIM))]


def export_settings(page: SettingsPage) -> None:
    """Ask for a folder and write the files there."""
    folder = usual_folder(page.draft.project)
    page.app.push_screen(Ask(_INTO, str(folder), WRITES), lambda answer: _write(page, answer or ""))


def _write(page: SettingsPage, answer: str) -> None:
    path = clean(answer)
    if not path:
        return
    project = page.draft.project
    page.say("ok", "Writing the files…")
    aside(
        lambda: or_error(
            lambda: write_project(project, page.draft.settings(), absolute_path(path)), "They could not be written"
        ),
        lambda found: _show(page, found),
    )


def _show(page: SettingsPage, found: Written | UserError) -> None:
    if isinstance(found, UserError):
        page.say("x", in_rows(str(found)))
        return
    if page.is_current:
        page.app.push_screen(ExportedScreen(found))
    else:  # somebody has gone elsewhere in the meantime
        page.say("ok", f"Exported for sd-scripts: {inert(found.files[0])}")


def _whole(text: str, width: int) -> list[str]:
    """Rows of what is copied, broken between words alone where that is possible."""
    return textwrap.wrap(inert(text), width, break_on_hyphens=False) or [""]
