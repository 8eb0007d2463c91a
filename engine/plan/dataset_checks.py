"""Judgements on a project's pictures: too few, too small, captions without the trigger, regularisation pictures."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.base_model import BaseModel
from engine.plan.captions import has_word
from engine.plan.dataset import Dataset, Picture
from engine.plan.errors import Finding, are, either, few, plural
from engine.plan.picture_checks import check_pictures
from engine.plan.picture_remarks import is_small
from engine.plan.project import Project
from engine.plan.regularisation_checks import check_regularisation
from engine.plan.settings import Settings

FEW_PICTURES = 10
MANY_PICTURES = 200
FEW_STEPS = 200
SHORT_BATCHES_SHARE = 1.15


def check_dataset(settings: Settings, dataset: Dataset, project: Project) -> Iterator[Finding]:
    """What is worth saying about the pictures that were read."""
    yield from _amount(dataset)
    yield from check_pictures(settings, dataset)
    yield from _small_pictures(settings, dataset)
    yield from _captions(settings, dataset, project)
    yield from check_regularisation(settings, dataset, project)
    yield from _batches(settings, dataset)


def _amount(dataset: Dataset) -> Iterator[Finding]:
    yield from _few_pictures(dataset)
    yield from _many_pictures(dataset)
    if dataset.steps.total < FEW_STEPS:
        yield Finding(
            "few-steps",
            f"{plural(dataset.steps.total, 'step')} {are(dataset.steps.total)} few: most LoRAs need some hundreds to "
            "show the subject.",
            "Raise max_train_epochs, or the repeats of the folder.",
            level="note",
        )


def _subjects(dataset: Dataset) -> dict[str, list[Picture]]:
    """The pictures that are trained by subject, under the names of its folders: those with the same words behind the
    number show the same."""
    words = {folder.name: folder.class_words for folder in dataset.folders if folder.kind == "train"}
    pictures: dict[str, list[Picture]] = {}
    for picture in dataset.used_of("train"):
        pictures.setdefault(words[picture.folder], []).append(picture)
    return {" and ".join(dict.fromkeys(picture.folder for picture in of)): of for of in pictures.values()}


def _few_pictures(dataset: Dataset) -> Iterator[Finding]:
    subjects = _subjects(dataset)
    scarce = {name: len(pictures) for name, pictures in subjects.items() if len(pictures) < FEW_PICTURES}
    if not scarce:
        return
    (first, count), *others = scarce.items()
    copied = f"the LoRA will tend to copy {'it' if count == 1 and not others else 'them'}."
    if others:
        said = f"Few pictures to learn from are in {few(f'{name} ({of})' for name, of in scarce.items())}: {copied}"
    elif len(subjects) > 1:
        said = f"{first} has only {plural(count, 'picture')}, which is little to learn from: {copied}"
    else:
        said = f"{plural(count, 'picture')} is little to learn from: {copied}"
    more = "20 to 30 good pictures with different places, clothes and light work best"
    each = " for each subject" if len(subjects) > 1 else ""
    yield Finding("few-pictures", said, f"{more}{each}.", level="note")


def _many_pictures(dataset: Dataset) -> Iterator[Finding]:
    subjects = _subjects(dataset)
    times = {name: sum(p.repeats for p in pictures) / len(pictures) for name, pictures in subjects.items()}
    many = [name for name, pictures in subjects.items() if len(pictures) > MANY_PICTURES and times[name] > 1]
    if not many:
        return
    count = min(len(subjects[name]) for name in many)
    often = f"{min(times[name] for name in many):.0f}"
    if len(many) > 1:
        said = f"More than {MANY_PICTURES} pictures each in {few(many)} are more than the likeness of a subject needs"
        often = f"at least {often}"
    elif len(subjects) > 1:
        said = f"{plural(count, 'picture')} in {many[0]} are more than the likeness of one subject needs"
    else:
        said = f"{plural(count, 'picture')} are more than the likeness of one subject needs"
    yield Finding(
        "many-pictures",
        f"{said}, and each is seen {often} times an epoch: that takes long, and weak pictures among them teach as much "
        "as good ones.",
        "Keep the best 20 to 100 of one subject; for a style take all, with few repeats.",
        level="note",
    )


def _small_pictures(settings: Settings, dataset: Dataset) -> Iterator[Finding]:
    width, height = settings.size
    small = [picture for picture in dataset.used_of("train") if is_small(settings, picture)]
    if not small:
        return
    least = min(small, key=lambda picture: picture.width * picture.height)
    kept = settings.enable_bucket and settings.bucket_no_upscale
    yield Finding(
        "small-pictures",
        f"{plural(len(small), 'picture')} {'has' if len(small) == 1 else 'have'} less than half of the "
        f"{width}×{height} pixels that are trained, the smallest {least.path.name} with {least.width}×{least.height}: "
        + ("trained at their own size, they teach less detail." if kept else "enlarged, they teach blur."),
        "Look for a larger copy, or leave it out." if len(small) == 1 else "Look for larger copies, or leave them out.",
    )


def _captions(settings: Settings, dataset: Dataset, project: Project) -> Iterator[Finding]:
    if not project.trigger:
        return
    train = dataset.used_of("train")
    around = f"{settings.caption_prefix} {settings.caption_suffix}"
    unknown = {p.path for p in train if any(problem.code == "caption-not-utf8" for problem in p.problems)}
    subjects = dataset.subjects(project.trigger, project.class_name)
    without = [p for p in train if p.path not in unknown and subjects.lacks_trigger(p.path, p.caption)]
    if has_word(around, project.trigger):
        without = []
    if without:
        triggers = list(dict.fromkeys(subjects.of_picture(p.path).trigger for p in without))
        several = len(triggers) > 1
        of_whom = f"the trigger word {'of what they show, ' if several else ''}{either(triggers)}"
        begin = "the trigger word of their folder and a comma" if several else f'"{triggers[0]}, "'
        yield Finding(
            "caption-without-trigger",
            f"{len(without):,} of {len(train):,} captions {'do' if len(without) > 1 else 'does'} not contain "
            f"{of_whom}: {few(p.path.name for p in without)}.",
            f"Begin {'it' if len(without) == 1 else 'them'} with {begin}: what is learnt is tied to the words of the "
            "captions.",
        )
    said = {p.path: t for p in dataset.used_of("reg") for t in subjects.every_trigger if has_word(p.caption, t)}
    if said:
        words, one = dict.fromkeys(said.values()), len(said) == 1
        yield Finding(
            "reg-caption-with-trigger",
            f"{plural(len(said), 'regularisation picture')} {'has' if one else 'have'} "
            f"{'a' if len(words) > 1 else 'the'} trigger word in the caption: {few(path.name for path in said)}.",
            f"{'It shows' if one else 'They show'} what is not {either(words)}: take the word out.",
        )


def check_bucket_shapes(dataset: Dataset, base: BaseModel) -> Iterator[Finding]:
    """Sizes that the base model never saw; only the practice model is so narrow, and says which it knows."""
    strange = sorted(size for size in dataset.buckets if size not in base.bucket_shapes)
    if base.bucket_shapes and strange:
        yield Finding(
            "unfamiliar-bucket",
            f"This base model never saw pictures of {few(f'{w}x{h}' for w, h in strange)}, so they turn out badly.",
            f"It knows {', '.join(f'{w}x{h}' for w, h in base.bucket_shapes)}: crop the pictures to such a shape.",
        )


def _batches(settings: Settings, dataset: Dataset) -> Iterator[Finding]:
    seen = dataset.steps.num_train_images + dataset.steps.num_reg_images
    full = -(-seen // (settings.train_batch_size * settings.num_processes))
    if dataset.steps.batches_per_epoch > SHORT_BATCHES_SHARE * full:
        yield Finding(
            "short-batches",
            f"The pictures have {len(dataset.buckets)} different sizes, so many batches are not full: "
            f"{dataset.steps.batches_per_epoch} batches an epoch instead of {full}.",
            "Crop the pictures to a few shapes, raise bucket_reso_steps, or use train_batch_size = 1.",
            level="note",
        )
