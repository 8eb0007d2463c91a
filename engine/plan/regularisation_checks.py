"""Judgements on regularisation pictures: none, too few, of another class, or more of one class than of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.plan.captions import has_word
from engine.plan.class_balance import uneven_classes
from engine.plan.dataset import Dataset
from engine.plan.errors import Finding, UserError, are, either, few, plural
from engine.plan.project import Project
from engine.plan.regularisation import Need, needs
from engine.plan.settings import Settings

REG_OFTEN = 10
"""A regularisation picture seen this often in every epoch is itself learnt by heart."""


def check_regularisation(settings: Settings, dataset: Dataset, project: Project) -> Iterator[Finding]:
    """What is worth saying about the regularisation pictures, or about doing without."""
    reg = [p for p in dataset.pictures if p.kind == "reg" and not p.left_out]
    kind = f'"{project.class_name}"' if project.class_name else "of its class"
    kept = settings.diff_output_preservation_multiplier > 0
    if not reg and kept:
        return
    if not reg:
        yield Finding(
            "no-regularisation",
            f"There are no regularisation pictures: everything {kind} may come to look like your pictures.",
            "`lora-tui regularise` makes ordinary ones, or takes them over into "
            f"reg/1_{project.class_name or 'class'}, to prevent it; or do without them: "
            "diff_output_preservation_multiplier = 1, which takes longer. Many people do without either.",
            level="note",
        )
        return
    if kept:
        yield Finding(
            "preserved-twice",
            "diff_output_preservation_multiplier keeps the class as it was, and so do the regularisation pictures: one "
            "of the two is enough, and both take their time.",
            "Leave the regularisation pictures out, or set the option to 0.",
            level="note",
            option="diff_output_preservation_multiplier",
            value=0.0,
        )
    uneven = uneven_classes(_needs(project, dataset))
    unused = sum(p.repeats == 0 for p in reg)
    if uneven is not None:
        yield uneven
    elif unused:
        yield Finding(
            "reg-unused",
            f"{unused:,} of {len(reg):,} regularisation pictures {are(unused)} not used: only as many as your own "
            f"pictures with their repeats ({dataset.steps.num_train_images:,}) are.",
            "Nothing needs to be done.",
            level="note",
        )
    most = max(p.repeats for p in reg)
    if most >= REG_OFTEN:
        yield Finding(
            "reg-often",
            f"{plural(len(reg), 'regularisation picture')} must do for {dataset.steps.num_reg_images:,}, so each is "
            f"seen up to {most} times an epoch and may be learnt by heart.",
            f"Add more, best {min(dataset.steps.num_train_images, 200)} or more.",
        )
    yield from _other_class(dataset, project)


def _needs(project: Project, dataset: Dataset) -> Sequence[Need]:
    """What each class needs; nothing where one is not named, which is found anyway."""
    try:
        return needs(project, dataset)
    except UserError:
        return ()


def _other_class(dataset: Dataset, project: Project) -> Iterator[Finding]:
    """Folders that name the class of no subject."""
    if not project.class_name:
        return
    subjects = dataset.subjects(project.trigger, project.class_name)
    classes = list(dict.fromkeys(subject.class_name for subject in subjects.all))
    reg = [folder for folder in dataset.folders if folder.kind == "reg"]
    wrong = sorted({f.name for f in reg if not any(has_word(f.class_words, name) for name in classes)})
    if wrong:
        which = f"the class {either(classes)} of the project"
        if len(classes) > 1:
            which = f"a class of the project, {either(classes)}"
        yield Finding(
            "reg-other-class",
            f"The regularisation folder {few(wrong)} does not name {which}.",
            "Regularisation pictures should show the same class as yours, named with the same word.",
        )
