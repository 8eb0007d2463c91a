"""What is to be known before a training starts, whether it may start, and starting it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from engine.plan.disk import DiskUse, free_bytes
from engine.plan.errors import inert, plural
from engine.plan.hardware_checks import CODES as HARDWARE
from engine.plan.lora_names import free_name
from engine.plan.option_values import plain_name
from engine.runs.folder import RunFolder
from lora_tui import estimate_texts
from lora_tui.draft import Draft
from lora_tui.option_texts import typed_findings
from lora_tui.own_command import own_command
from lora_tui.resuming import FAILS_HERE, ONLY_SLOW, SLOW_HERE
from lora_tui.steps import StepName
from lora_tui.survey import Survey
from lora_tui.wizard import Wizard


def fact(step: StepName, wizard: Wizard) -> str:
    """One fact of each of the first six steps, in a few words."""
    project, survey = wizard.draft.project, wizard.survey
    if step == "project":
        return inert(f"{project.trigger or '(no trigger)'} {project.class_name}")
    if survey is None or (survey.dataset is None and step in ("pictures", "regularisation", "captions")):
        said = survey.pictures_error if survey is not None and step == "pictures" else None  # once is enough
        return said.message if said is not None else ""
    if step == "model":
        return inert(str(wizard.draft.value("pretrained_model_name_or_path")) or "not chosen yet")
    if step == "settings":
        changed = len(project.settings) - ("pretrained_model_name_or_path" in project.settings)
        return (f"preset {project.preset}" if project.preset else "the guide's values") + (
            f", {plural(changed, 'change')}" if changed else ""
        )
    assert survey.dataset is not None
    train, steps = survey.dataset.used_of("train"), survey.dataset.steps
    if step == "pictures":
        return f"{plural(len(train), 'picture')}, {steps.num_train_images:,} in an epoch"
    if step == "regularisation":
        return f"{plural(steps.num_reg_on_disk, 'picture')}" if steps.num_reg_on_disk else "none"
    written = sum(picture.caption_path is not None for picture in train)
    return f"{written:,} of {len(train):,} written"


def lora_name(draft: Draft) -> str:
    """What the finished LoRA will be called, without its ending, as far as nobody takes that name meanwhile."""
    wanted = str(draft.value("output_name")) or plain_name(draft.project.name)
    try:
        return free_name(draft.project.model_dir, wanted)
    except OSError:
        return wanted


def disk_sentence(draft: Draft, use: DiskUse) -> str:
    """How much room it takes, and how much there is now."""
    return estimate_texts.disk_sentence(use, free_bytes(draft.project))


def as_command(draft: Draft) -> str:
    """What would start the same training in a shell."""
    return own_command("train", draft.path)


@dataclass(frozen=True)
class Hindrance:
    """What speaks against starting. final: nobody may overrule it."""

    title: str
    why: str
    final: bool = False


def hindrance(draft: Draft, survey: Survey) -> Hindrance | None:
    """Whether to start at once, after a question, or not at all."""
    hard = [finding for finding in survey.blocking if not finding.overridable]
    if draft.trouble is not None:
        return Hindrance("", f"project.toml has to be mended first. {draft.trouble}", final=True)
    if hard:
        return Hindrance("", str(hard[0]), final=True)
    if survey.blocking:
        why = " ".join(map(str, survey.blocking))  # all: else the next one comes after the first
        return Hindrance(_heading({finding.code for finding in survey.blocking}), why)
    if typed := typed_findings(draft.typed):
        return Hindrance("What you typed is not used.", str(typed[0]))
    return None


def _heading(codes: Set[str]) -> str:
    """The gravest of those that these findings have."""
    if codes & HARDWARE - ONLY_SLOW:
        return FAILS_HERE
    return SLOW_HERE if codes <= ONLY_SLOW else "This will not come out well."


def launch(draft: Draft, **arguments: object) -> RunFolder:
    """Start a training in an engine of its own; with `arguments` a dry run. Raises UserError."""
    from lora_tui.commands.train import new_run
    from lora_tui.follow import start

    run = new_run(draft.project, draft.settings(), "auto", **arguments)
    start(run, "" if arguments else None)
    return run
