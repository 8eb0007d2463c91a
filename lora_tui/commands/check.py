"""`lora-tui check`: everything that can be known of a training before it, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from engine.plan.errors import UserError
from lora_tui import output
from lora_tui.options import json_option, open_project, set_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.plan.dataset import Dataset
    from engine.plan.disk import DiskUse
    from engine.plan.errors import Finding
    from engine.plan.picture_report import PictureReport
    from engine.plan.project import Project
    from engine.plan.regularisation import Need
    from engine.plan.repeats import Advice


@click.command("check")
@click.argument("directory", metavar="DIR")
@set_option
@click.option(
    "--steps",
    type=click.IntRange(1, 10**7),
    default=None,
    metavar="N",
    help="Recommend repeats for about so many steps, instead of those wished for in the wizard, or the guide's.",
)
@click.option("--quick", is_flag=True, help="Do not look for blur and near-copies in pictures that are new here.")
@json_option
def command(directory: str, sets: tuple[tuple[str, str], ...], steps: int | None, quick: bool, as_json: bool) -> None:
    """Look at the project DIR: its pictures, the steps that follow, and what is wrong with it.

    Each picture is looked at for blur and near-copies, which takes minutes for thousands the first time; Ctrl-C stops
    that, and the rest is told all the same.

    The exit code is 1 where an error was found: no training can run before it is mended. Warnings leave it 0, also
    those that `train` only goes past with --accept-warnings.
    """
    from engine.plan.base_model import recognise
    from engine.plan.byte_counts import size
    from engine.plan.caption_findings import check_words
    from engine.plan.checks import check_settings
    from engine.plan.clip_tokens import Counter
    from engine.plan.dataset import scan
    from engine.plan.disk import disk_use
    from engine.plan.looked import keep_looks, kept_looks
    from engine.plan.measured import keep_measures, kept_measures
    from engine.plan.picture_report import Reporter
    from engine.plan.regularisation import as_object as need_as_object
    from engine.plan.regularisation import explanation
    from engine.plan.repeats import advise
    from lora_tui.beside import Beside
    from lora_tui.estimating import predictor_of
    from lora_tui.hardware import gpus_for, hardware_findings
    from lora_tui.look_through import look_through
    from lora_tui.regularising import options_of
    from lora_tui.wished_steps import wished_steps

    project, settings = open_project(directory, sets)
    base = None
    if settings.pretrained_model_name_or_path:  # one that is not chosen yet is a finding, one that is wrong an error
        base = recognise(settings.pretrained_model_name_or_path, project.path)
    measures = kept_measures(project)
    dataset = scan(project, settings, measure=measures)
    keep_measures(project, measures)
    looks = kept_looks(project)
    readable = [picture.path for picture in dataset.pictures if picture.bucket[0]]
    whole = not looks.lacking(readable) if quick else look_through(looks, readable)
    keep_looks(project, looks)
    report = Reporter().report(settings, dataset, looks)
    advice = advise(settings, dataset, steps or wished_steps(Beside(project.path)))
    use = disk_use(settings, dataset, base) if base is not None else None
    needed = _needed(project, dataset)
    found = [*dataset.findings, *report.findings]
    found += check_settings(settings, dataset, project, gpus_for(settings))
    found += hardware_findings(settings, base, predict=predictor_of(settings, dataset))
    counter = Counter.for_base(base, settings.weighted_captions)
    found += check_words(settings, dataset, project.trigger, counter, project.class_name)
    if as_json:
        options = options_of(project, base)
        answer = as_object(dataset, found, use) | report_as_object(dataset, report, whole, advice)
        output.answer({**answer, "regularisation": [need_as_object(need, options) for need in needed]})
    else:
        _print(project.name, dataset)
        for line in (line for need in needed for line in ("", *explanation(need))):
            output.say(line)
        _print_report(report, whole, advice)
        if use is not None:
            output.say()
            output.say(f"Each LoRA file takes {size(use.lora)}, each checkpoint {size(use.checkpoint)}.")
        output.findings(found)
    if any(finding.level == "error" or finding.stops_training(accept_warnings=True) for finding in found):
        raise SystemExit(1)


def _needed(project: Project, dataset: Dataset) -> list[Need]:
    """What each class needs of regularisation pictures; nothing where no class is named, which is found anyway."""
    from engine.plan.regularisation import needs

    try:
        return needs(project, dataset)
    except UserError:
        return []


def as_object(dataset: Dataset, found: Sequence[Finding], use: DiskUse | None = None) -> dict[str, object]:
    """The contract's JSON: sizes as [width, height] in pixels, absolute paths."""
    steps = dataset.steps
    return {
        "pictures": [
            {
                "path": picture.path,
                "kind": picture.kind,
                "folder": picture.folder,
                "width": picture.width,
                "height": picture.height,
                "resized": list(picture.resized),
                "bucket": list(picture.bucket),
                "repeats": picture.repeats,
                "caption": picture.caption,
                "caption_path": picture.caption_path,
                "left_out": picture.left_out,
                "validation": picture.validates,
                "problems": [{"code": p.code, "message": p.message, "hint": p.hint} for p in picture.problems],
            }
            for picture in dataset.pictures
        ],
        "buckets": [
            {"resolution": list(size), "count": count, "cropped": round(dataset.cut_in(size), 4)}
            for size, count in dataset.buckets.items()
        ],
        "steps": {
            "num_train_images": steps.num_train_images,
            "num_reg_images": steps.num_reg_images,
            "num_reg_on_disk": steps.num_reg_on_disk,
            "batches_per_epoch": steps.batches_per_epoch,
            "steps_per_epoch": steps.steps_per_epoch,
            "epochs": steps.epochs,
            "total": steps.total,
            "explanation": steps.explanation,
        },
        "disk": use.as_json() if use else None,
        "warnings": [finding.as_json() for finding in found],
    }


def report_as_object(dataset: Dataset, report: PictureReport, whole: bool, advice: Advice) -> dict[str, object]:
    """What else is known of the pictures: remarks by path, groups of near-copies, and the recommended repeats.

    looked_at_all: whether all were looked at for blur and near-copies.
    """
    return {
        "report": {
            "looked_at_all": whole,
            "remarks": [
                {"path": picture.path, "code": remark.code, "message": remark.message, "hint": remark.hint}
                for picture in dataset.pictures
                for remark in report.remarks.get(picture.path, ())
            ],
            "near_copies": [[picture.path for picture in group] for group in report.copies],
        },
        "recommended": advice.as_json(),
    }


def _print_report(report: PictureReport, whole: bool, advice: Advice) -> None:
    output.say()
    output.say(f"What is against them: {report.tally}.")
    if not whole:
        output.say("Not all were looked at for blur and near-copies.")
    output.say()
    output.say("Recommended repeats:")
    for line in advice.lines:
        output.say(f"  {line}")
    if not advice.followed:
        output.say(
            "  Step 1 of the wizard sets them with one key, r; in project.toml they are num_repeats of [folders]."
        )


def _print(name: str, dataset: Dataset) -> None:
    output.say(name)
    for folder in dataset.folders:
        mine = [p for p in dataset.pictures if p.folder == folder.name and p.kind == folder.kind]
        used = sum(picture.used for picture in mine)
        parent = "img" if folder.kind == "train" else "reg"
        kept = sum(picture.validates for picture in mine)
        validated = f", {kept} kept for validation" if kept else ""
        output.say(f"  {parent}/{folder.name}: {used} of {len(mine)} pictures used{validated}")
    output.say()
    for line in dataset.steps.explanation.splitlines():
        output.say(line)
    output.say()
    output.say("Shapes that are trained:")
    for (width, height), count in dataset.buckets.items():
        cut = dataset.cut_in((width, height))
        output.say(f"  {width} × {height}: {count} in an epoch" + (f", {cut:.0%} cut off" if cut >= 0.005 else ""))
