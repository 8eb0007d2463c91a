"""Settings from a file by prompts: what it changes and what is not carried over is said before it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.plan.errors import UserError
from engine.plan.kohya.applying import changes, read_for
from lora_tui.import_words import notes, reasons, sentence, summary, weighty
from lora_tui.paths import clean
from lora_tui.preset_shelf import counted, told

if TYPE_CHECKING:
    from lora_tui.prompts.step import PlainStep


def take_file(step: PlainStep, text: str) -> None:
    """Read the file at a typed path, and set what it gave in the project if that is wanted."""
    path = clean(text)
    if not path:
        return
    talk, draft = step.talk, step.draft
    try:
        outcome = read_for(path, draft.project)
    except UserError as error:
        talk.say(f"Error: {error}")
        return
    talk.say(summary(outcome))
    for finding in outcome.findings:
        talk.say(f"{'Note' if finding.level == 'note' else 'Warning'}: {finding}")
    what = changes(draft.project, outcome.settings)
    talk.say(f"In this project it {counted(what)}{':' if what else '.'}")
    noted = notes(outcome)
    for change in what:
        title, before, after = told(change)
        note = noted.get(change.option.name)
        talk.say(f"{title}: {before}, then {after}{f' ({note})' if note else ''}")
    for left in weighty(outcome):
        talk.say(f"Not carried over: {sentence(left)}")
    for text in reasons(outcome):
        talk.say(text)
    talk.say("Base model, names, paths and folders of this project stay as they are.")
    if what and talk.sure("Take it?"):
        step.edited(draft.take_values(outcome.settings), "The settings are those of the file now.")
