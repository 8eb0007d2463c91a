"""Settings as files for sd-scripts by prompts: which were written, and what sd-scripts does not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.plan.errors import UserError
from engine.plan.files import absolute_path
from lora_tui.aside import or_error
from lora_tui.paths import clean
from lora_tui.sd_scripts import usual_folder, write_project

if TYPE_CHECKING:
    from lora_tui.prompts.step import PlainStep


def export_settings(step: PlainStep, text: str) -> None:
    """Write the files into the folder that is typed, or that is asked for."""
    talk, draft = step.talk, step.draft
    usual = usual_folder(draft.project)
    folder = clean(text or talk.ask("Into which folder?", f"takes {usual}")) or str(usual)
    found = or_error(
        lambda: write_project(draft.project, draft.settings(), absolute_path(folder)), "They could not be written"
    )
    if isinstance(found, UserError):
        talk.say(f"Error: {found}")
        return
    for file in found.files:
        talk.say(f"Written: {file}")
    for finding in found.findings:
        talk.say(f"{'Note' if finding.level == 'note' else 'Warning'}: {finding}")
    talk.say(f"With sd-scripts: {found.command}")
