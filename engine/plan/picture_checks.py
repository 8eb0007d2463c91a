"""Judgements on pictures that are each in order: the same one twice, a mask that no picture has."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.dataset import Dataset
from engine.plan.duplicates import same_files
from engine.plan.errors import Finding, few, plural
from engine.plan.picture_remarks import CUT_SHARE
from engine.plan.remedy import set_line
from engine.plan.settings import Settings

SHAPES_MATTER_FROM = 8  # pictures; fewer say nothing of what is usual
NOT_SQUARE = 1.1


def check_pictures(settings: Settings, dataset: Dataset) -> Iterator[Finding]:
    """What is worth saying about the pictures that are used."""
    yield from _duplicates(dataset)
    yield from _cut(settings, dataset)
    yield from _orientation(dataset)
    if settings.alpha_mask:
        yield from _masks(dataset)


def _duplicates(dataset: Dataset) -> Iterator[Finding]:
    names = {picture.path: picture.name for picture in dataset.used}
    groups = same_files(names)
    if not groups:
        return
    copies = sum(len(group) - 1 for group in groups)
    shown = few(" = ".join(names[path] for path in group) for group in groups)
    yield Finding(
        "picture-duplicate",
        f"{plural(copies, 'picture')} {'is a copy' if copies == 1 else 'are copies'} of another: {shown}.",
        f"Leave the {'copy' if copies == 1 else 'copies'} out, unless the picture is meant to be seen more often.",
    )


def _cut(settings: Settings, dataset: Dataset) -> Iterator[Finding]:
    cut = [picture for picture in dataset.used_of("train") if picture.cropped > CUT_SHARE]
    if not cut:
        return
    it = "it" if len(cut) == 1 else "them"
    worst = max(cut, key=lambda picture: picture.cropped)
    said = (
        f"{plural(len(cut), 'picture')} {'loses' if len(cut) == 1 else 'lose'} more than an eighth at the edges, "
        f"{worst.path.name} even {worst.cropped:.0%}: what is cut off, a head at the top perhaps, is not learnt."
    )
    if settings.enable_bucket:
        yield Finding(
            "cut-pictures",
            said,
            f"Cut {it} yourself to a shape nearer to the others, so that nothing that matters goes.",
        )
    else:
        hint = f"Cut {it} yourself, or let each keep its shape. {set_line('enable_bucket', 'true')}"
        yield Finding("cut-pictures", said, hint, option="enable_bucket", value=True)


def _orientation(dataset: Dataset) -> Iterator[Finding]:
    train = dataset.used_of("train")
    turned = [picture for picture in train if picture.turned]
    if turned:
        yield Finding(
            "turned-pictures",
            f"{plural(len(turned), 'picture')} {'is' if len(turned) == 1 else 'are'} stored turned or mirrored, with a "
            f"note (EXIF) that says so: {few(picture.path.name for picture in turned)}. Here the note is obeyed; "
            "kohya's scripts do not, and train such pictures lying on their side.",
            "If one stands wrongly in the preview, its note is wrong: turn it in a picture program and save it anew.",
            level="note",
        )
    if len(train) < SHAPES_MATTER_FROM:
        return
    shapes = [picture.width / picture.height for picture in train]
    if max(shapes) < 1 / NOT_SQUARE:
        yield _one_orientation(len(train), "taller than wide", "wide")
    elif min(shapes) > NOT_SQUARE:
        yield _one_orientation(len(train), "wider than tall", "tall")


def _one_orientation(count: int, shape: str, other: str) -> Finding:
    return Finding(
        "one-orientation",
        f"All {count} pictures are {shape}: the LoRA sees its subject in that shape alone, and draws it worse, or "
        f"twice, in {other} pictures.",
        f"If you want to make {other} pictures with it, add some that are {other} or square.",
        level="note",
    )


def _masks(dataset: Dataset) -> Iterator[Finding]:
    train = dataset.used_of("train")
    without = [picture for picture in train if not picture.alpha]
    if len(without) == len(train):
        yield Finding(
            "mask-without-alpha",
            "alpha_mask does nothing: no picture has an alpha channel, so all of every picture is learnt.",
            set_line("alpha_mask", "false"),
            option="alpha_mask",
            value=False,
        )
    elif without:
        one = len(without) == 1
        yield Finding(
            "mask-without-alpha",
            f"{len(without):,} of {len(train):,} pictures {'has' if one else 'have'} no alpha channel, so alpha_mask "
            f"lets all of {'it' if one else 'them'} be learnt: {few(picture.path.name for picture in without)}.",
            f"Cut {'its background' if one else 'their backgrounds'} out, and save {'it' if one else 'them'} as PNG or "
            "WebP with transparency.",
        )
