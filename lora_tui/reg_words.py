"""What the wizard says of regularisation pictures: how many and why, the ways to have them, what each row does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.text import Text

from engine.plan.errors import inert
from engine.plan.job_options import job_options
from engine.plan.picture_parameters import PROGRAM, read
from engine.plan.project import Project
from engine.plan.regularisation import Need, arithmetic, use_of
from lora_tui.regularising import Outlook
from lora_tui.widgets.form import Row
from lora_tui.widgets.paint import DIM, PLAIN, STRONG, line
from lora_tui.words import paragraph

_ABOUT = {
    "make": "Draws them with the base model that you train on, so that they show what the class means to it now: that "
    "is what is to stay. It is an engine of its own; what was stopped goes on where it was.",
    "folder": "Copies or links the pictures of a folder, with the captions beside them. Best are pictures that your "
    "base model made; photographs of the class do as well.",
    "hub": "Fetches pictures of a public data set: owner/name, owner/name/folder, or owner/name/file.zip. Only "
    "pictures and their captions are taken, never code. Nothing is fetched twice.",
    "preserve": "Holds the model to what it drew before for the same caption without your trigger word: no disk, but a "
    "step takes 2.3 to 2.6 times as long. It needs trigger and class, and captions with the trigger word.",
    "without": "Quicker: an epoch is half as long. The whole class may come to look like your subject; with a trigger "
    "word and few epochs many people never notice.",
    "remove": "Moves them to .lora-tui/trash in the project, with their captions, after a question.",
}


def of_needs(needs: Sequence[Need], project: Project, width: int, roomy: bool) -> list[Text]:
    """How many and why, a line or two for each class."""
    kind = project.class_name or "the class"
    why = f"Ordinary pictures of the class ({kind}) keep the model from turning every {kind} into yours."
    rows = paragraph(why, width) if roomy else []
    for need in needs:
        name = f"{inert(need.class_name)}: " if len(needs) > 1 else ""
        rows.append(line((f" {name}{arithmetic(need)}", STRONG), (" are seen in an epoch, beside your own.", DIM)))
        there = len(need.there)
        have = f"{there:,} here, {use_of(need.there, need.target)}." if there else "None are here."
        if there < need.enough < need.target:
            have += f" {need.enough:,} are enough, {use_of([1] * need.enough, need.target)}."
        rows += [line((f" {part}", PLAIN)) for part in textwrap.wrap(have, max(30, width - 2))]
    return rows


def as_rows(
    known: Outlook | None, project: Project, hub: str, *, preserved: bool, working: bool, model: int, there: int
) -> list[Row]:
    """The ways to have them. model: the number of the step that chooses a base model, where there is none yet."""
    kind = inert(project.class_name or "class", 20)
    if working:
        make = Row("make", "Stop", aside="what is there stays", kind="action")
    else:
        make = Row("make", "Make them here", aside=_making(known, model), kind="action")
    rows = [
        Row("h1", "Ways to have them", kind="heading"),
        make,
        Row("folder", "Take them from a folder", aside="copied or linked", kind="action"),
        Row("hub", "From Hugging Face", hub, aside="" if hub else "owner/name"),
        Row(
            "preserve",
            "Without: hold the class",
            "on" if preserved else "off",
            aside="no disk; 2.3–2.6 × time",
            changed=preserved,
            kind="switch",
        ),
        Row("without", "Go on without", aside=f"quicker; every {kind} may come to look like yours", kind="action"),
    ]
    if there:
        rows.append(Row("remove", "Throw them away…", aside="into the project's trash", kind="action"))
    return rows


def _making(known: Outlook | None, model: int) -> str:
    if model:
        return f"with the base model: step {model} chooses one first"
    if known is None:
        return "with the base model"
    return known.in_words() if known.missing else "there are as many as are wanted"


def about_row(key: str, known: Outlook | None, width: int) -> list[Text]:
    """What a row does."""
    option = job_options("regularising").get(key)
    if option is None:
        return [line((f" {part}", PLAIN)) for part in textwrap.wrap(_ABOUT.get(key, ""), max(30, width - 2))]
    rows = [line((f" {part}", PLAIN)) for part in textwrap.wrap(option.help, max(30, width - 2))]
    facts = f"usual: {option.usual}   the guide: {option.guide}   {option.name} in [regularising]"
    rows += [line((f" {part}", DIM)) for part in textwrap.wrap(facts, max(30, width - 2))]
    if key in ("prompt", "negative_prompt") and known is not None:
        classes = [need.class_name for need in known.needs] or ["CLASS"]
        whole = known.options.prompt_for(classes[0]) if key == "prompt" else known.options.negative_prompt
        rows += paragraph(inert(whole), width) if whole else []
    return rows


def made_here(pictures: Iterable[Path]) -> list[Path]:
    """Those that this program made, as they say themselves."""
    return [path for path in pictures if read(path).endswith(f"Version: {PROGRAM}")]
