"""What the wizard says of regularisation pictures: how many and why, the ways to have them, what each row does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from engine.plan.class_balance import uneven_classes
from engine.plan.dataset import Dataset
from engine.plan.errors import are, inert, plural
from engine.plan.job_options import job_options
from engine.plan.picture_parameters import PROGRAM, read
from engine.plan.project import Project
from engine.plan.regularisation import Need, arithmetic, differs, what_is_enough, what_is_here
from engine.runs.state import Observation
from lora_tui.in_rows import in_rows
from lora_tui.progress import activity, at_work
from lora_tui.regularising import Outlook
from lora_tui.widgets.form import Row
from lora_tui.widgets.paint import DIM, PLAIN, STRONG, WARN, bar, line
from lora_tui.words import paragraph

BAR_CELLS = 24
_WITHOUT = (
    "Without them an epoch is half as long. The whole class may come to look like your subject; with a trigger word "
    "and few epochs many people never notice."
)
_ABOUT = {
    "make": "Draws them with the base model that you train on, so that they show what the class means to it now: that "
    "is what is to stay. It is an engine of its own; what was stopped goes on where it was.",
    "folder": "Copies or links the pictures of a folder, with the captions beside them. Best are pictures that your "
    "base model made; photographs of the class do as well.",
    "hub": "Fetches pictures of a public data set: owner/name, owner/name/folder, or owner/name/file.zip. Only "
    "pictures and their captions are taken, never code. Nothing is fetched twice.",
    "preserve": "Holds the model to what it drew before for the same caption without your trigger word: no disk, but a "
    "step takes 2.3 to 2.6 times as long. It needs trigger and class, and captions with the trigger word.",
    "without": f"Goes to the next step, and leaves all as it is. {_WITHOUT}",
    "without those here": f"Leaves them out of the training, as Space does with one; the files stay. {_WITHOUT}",
    "back": "All that are left out are used again, also those that Space left out one by one.",
    "remove": "Moves them to .lora-tui/trash in the project, with their captions, after a question.",
}


@dataclass(frozen=True)
class Here:
    """The regularisation pictures that are here: all, those that a training would use, those that the user left out.

    known: whether they were looked for yet.
    """

    all: tuple[Path, ...] = ()
    used: tuple[Path, ...] = ()
    left_out: tuple[Path, ...] = ()
    known: bool = True


NOT_KNOWN = Here(known=False)


def pictures_here(dataset: Dataset, project: Project) -> Here:
    """As the project says now, which the data set may not know yet."""
    out = {project.path / path for path in project.left_out}
    pictures = [picture for picture in dataset.of("reg") if picture.bucket[0]]  # the others cannot be used at all
    return Here(
        tuple(picture.path for picture in dataset.of("reg")),
        tuple(picture.path for picture in pictures if picture.path not in out),
        tuple(picture.path for picture in pictures if picture.path in out),
    )


def of_needs(needs: Sequence[Need], project: Project, width: int, roomy: bool) -> list[Text]:
    """How many and why, a line or two for each class."""
    kind = project.class_name or "the class"
    why = f"Ordinary pictures of the class ({kind}) keep the model from turning every {kind} into yours."
    rows = paragraph(why, width) if roomy else []
    for need in needs:
        name = f"{inert(need.class_name)}: " if len(needs) > 1 else ""
        seen = " are seen in an epoch, beside your own."
        if differs(need):
            seen = f" should be seen in an epoch; {sum(need.times):,} {are(sum(need.times))}."
        rows.append(line((f" {name}{arithmetic(need)}", STRONG), (seen, DIM)))
        there, have = len(need.there), what_is_here(need)
        if there < need.enough < need.target:
            have += f" {what_is_enough(need)}."
        rows += [line((f" {part}", PLAIN)) for part in textwrap.wrap(have, max(30, width - 2))]
    if (uneven := uneven_classes(needs)) is not None:  # the status line says why
        rows += [line((f" {part}", WARN)) for part in textwrap.wrap(in_rows(uneven.hint), max(30, width - 2))]
    return rows


def under_way(seen: Observation) -> list[Text]:
    """How far the making or fetching is."""
    _, done, total = activity(seen)
    how = [*bar(done, total, BAR_CELLS), "  "] if total else []
    return [
        line(" ", *how, (at_work(seen), PLAIN)),
        line((" You may leave this screen or the program; it goes on.", DIM)),
    ]


def told_left_out(count: int, undo: str, forth: str) -> str:
    """After so many were left out at once. undo, forth: the keys."""
    return f"{plural(count, 'picture')} left out; {undo} takes {_them(count)} back, {forth} goes on without."


def told_taken_back(count: int, undo: str) -> str:
    """After so many are used again."""
    return f"{plural(count, 'picture')} used again; {undo} leaves {_them(count)} out."


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def as_rows(
    known: Outlook | None,
    project: Project,
    hub: str,
    *,
    preserved: bool,
    working: bool,
    model: int,
    here: Here,
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
        _without(here, kind),
    ]
    if here.left_out and not here.used:
        one = len(here.left_out) == 1
        label = "Use it again" if one else f"Use all {len(here.left_out):,} again"
        rows.append(Row("back", label, aside=f"{'it is' if one else 'they are'} here, left out", kind="action"))
    if here.all:
        rows.append(Row("remove", "Throw them away…", aside="into the project's trash", kind="action"))
    return rows


def _without(here: Here, kind: str) -> Row:
    """What it is called for: the next step where none is used, else leaving out those that are."""
    if not here.known:
        return Row("without", "Go on", aside="whether any are here is not known yet", kind="action")
    if not here.used:
        return Row("without", "Go on without", aside=f"every {kind} may come to look like yours", kind="action")
    label = "Leave it out" if len(here.used) == 1 else f"Leave all {len(here.used):,} out"
    return Row("without", label, aside="an epoch is half as long; files stay", kind="action")


def _making(known: Outlook | None, model: int) -> str:
    if model:
        return f"with the base model: step {model} chooses one first"
    if known is None:
        return "with the base model"
    return known.in_words() if known.missing else "there are as many as are wanted"


def about_row(key: str, known: Outlook | None, here: Here, width: int) -> list[Text]:
    """What a row does."""
    option = job_options("regularising").get(key)
    if option is None:
        about = _ABOUT.get("without those here" if key == "without" and here.used else key, "")
        return [line((f" {part}", PLAIN)) for part in textwrap.wrap(about, max(30, width - 2))]
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
