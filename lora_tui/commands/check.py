"""`lora-tui check`: everything that can be known of a training before it, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lora_tui import output
from lora_tui.options import json_option, open_project, set_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.plan.dataset import Dataset
    from engine.plan.disk import DiskUse
    from engine.plan.errors import Finding


@click.command("check")
@click.argument("directory", metavar="DIR")
@set_option
@json_option
def command(directory: str, sets: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """Look at the project DIR: its pictures, the steps that follow, and what is wrong with it.

    The exit code is 1 where an error was found: no training can run before it is mended. Warnings leave it 0, also
    those that `train` only goes past with --accept-warnings.
    """
    from engine.plan.base_model import recognise
    from engine.plan.checks import check_settings
    from engine.plan.dataset import scan
    from engine.plan.disk import disk_use, size
    from engine.plan.measured import keep_measures, kept_measures

    project, settings = open_project(directory, sets)
    base = None
    if settings.pretrained_model_name_or_path:  # one that is not chosen yet is a finding, one that is wrong an error
        base = recognise(settings.pretrained_model_name_or_path, project.path)
    measures = kept_measures(project)
    dataset = scan(project, settings, measure=measures)
    keep_measures(project, measures)
    use = disk_use(settings, dataset, base) if base is not None else None
    found = [*dataset.findings, *check_settings(settings, dataset, project)]
    if as_json:
        output.answer(as_object(dataset, found, use))
    else:
        _print(project.name, dataset)
        if use is not None:
            output.say()
            output.say(f"Each LoRA file takes {size(use.lora)}, each checkpoint {size(use.checkpoint)}.")
        output.findings(found)
    if any(finding.level == "error" or finding.stops_training(accept_warnings=True) for finding in found):
        raise SystemExit(1)


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
        "buckets": [{"resolution": list(size), "count": count} for size, count in dataset.buckets.items()],
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
        "disk": {"lora_bytes": use.lora, "checkpoint_bytes": use.checkpoint, "most_bytes": use.most} if use else None,
        "warnings": [finding.as_json() for finding in found],
    }


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
        output.say(f"  {width} × {height}: {count} in an epoch")
