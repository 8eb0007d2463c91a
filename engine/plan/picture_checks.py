"""Judgements on pictures that are each in order: the same one twice, a mask that no picture has."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.dataset import Dataset
from engine.plan.duplicates import same_files
from engine.plan.errors import Finding, few, plural
from engine.plan.remedy import set_line
from engine.plan.settings import Settings


def check_pictures(settings: Settings, dataset: Dataset) -> Iterator[Finding]:
    """What is worth saying about the pictures that are used."""
    yield from _duplicates(dataset)
    if settings.alpha_mask:
        yield from _masks(dataset)


def _duplicates(dataset: Dataset) -> Iterator[Finding]:
    names = {picture.path: picture.name for picture in dataset.used}
    groups = same_files(names)
    if not groups:
        return
    shown = few(" = ".join(names[path] for path in group) for group in groups)
    yield Finding(
        "picture-duplicate",
        f"{plural(sum(len(group) - 1 for group in groups), 'picture')} "
        f"{'is a copy' if sum(map(len, groups)) == 2 else 'are copies'} of another: {shown}.",
        "Leave the copies out, unless the picture is meant to be seen more often.",
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
        yield Finding(
            "mask-without-alpha",
            f"{len(without)} of {len(train)} pictures have no alpha channel, so alpha_mask lets all of them be learnt: "
            f"{few(picture.path.name for picture in without)}.",
            "Cut their backgrounds out and save them as PNG or WebP with transparency.",
        )
