"""All pictures of a project with what becomes of each: size, bucket, caption, repeats; and the steps that follow.

Pictures and captions are only read. What is wrong with one picture is a finding and the picture is left out; what
leaves nothing to train on is a UserError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from engine.plan import picture_problems as problems
from engine.plan.buckets import BucketRules, cropped
from engine.plan.captions import Caption, NotUTF8Error, read_caption, with_all_lines
from engine.plan.errors import Finding, UserError
from engine.plan.folders import KINDS, OWN_FOLDERS, Folder, Kind, find_folders, missing_overrides
from engine.plan.picture_kinds import OTHER_FILES
from engine.plan.pictures import Size, measure, picture_files
from engine.plan.project import Project
from engine.plan.settings import Settings
from engine.plan.steps import Amounts, Steps, balance, count_steps
from engine.plan.subjects import Subjects
from engine.plan.validation_split import kept_out

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture file. width, height: pixels after EXIF orientation, 0 where it cannot be read.

    repeats: how often it is seen in an epoch, after balancing; 0 where it is not used. left_out: by the user, or
    because it cannot be trained. caption_path: None where there is no caption file. lines: all that its caption may
    be, with enable_wildcard; else none. alpha: the file says how opaque each pixel is. validates: it is kept out of the
    training to validate it, so repeats are 0. turned: EXIF says to turn it.
    """

    path: Path
    kind: Kind
    folder: str
    width: int
    height: int
    resized: tuple[int, int]
    bucket: tuple[int, int]
    repeats: int
    caption: str
    caption_path: Path | None
    left_out: bool
    problems: tuple[Finding, ...] = ()
    lines: tuple[str, ...] = ()
    alpha: bool = False
    validates: bool = False
    turned: bool = False

    @property
    def words(self) -> str:
        """What its caption is drawn from (`caption_draws`): the caption, or all its lines."""
        return "\n".join(self.lines) or self.caption

    @property
    def name(self) -> str:
        """Its folder and file, by which a run knows it again."""
        return f"{self.folder}/{self.path.name}"

    @property
    def cropped(self) -> float:
        """The share of it that is cut off for its bucket, 0 to 1."""
        return cropped(self.resized, self.bucket) if self.bucket[0] else 0.0

    @property
    def used(self) -> bool:
        """Whether it is trained."""
        return self.repeats > 0 and not self.left_out


@dataclass(frozen=True)
class Dataset:
    """All pictures of a project, training pictures first, in the order of their folders and names.

    buckets: how many pictures an epoch has by size, repeats counted.
    """

    pictures: tuple[Picture, ...]
    folders: tuple[Folder, ...]
    buckets: dict[tuple[int, int], int]
    steps: Steps
    findings: tuple[Finding, ...]

    @cached_property
    def used(self) -> tuple[Picture, ...]:
        """The pictures that are trained."""
        return tuple(picture for picture in self.pictures if picture.used)

    def subjects(self, trigger: str, class_name: str) -> Subjects:
        """Whom its training folders show, in a project with this trigger and class. Costs nothing."""
        return Subjects.of(trigger, class_name, (folder.path for folder in self.folders if folder.kind == "train"))

    @cached_property
    def validation(self) -> tuple[Picture, ...]:
        """The pictures that are kept out of the training, to validate it."""
        return tuple(picture for picture in self.pictures if picture.validates)

    def used_of(self, kind: Kind) -> tuple[Picture, ...]:
        """The training pictures, or the regularisation pictures, that are trained."""
        return self._used_by_kind[kind]

    def of(self, kind: Kind) -> tuple[Picture, ...]:
        """All training pictures, or all regularisation pictures."""
        return self._by_kind[kind]

    def buckets_of(self, kind: Kind) -> Counter[tuple[int, int]]:
        """As `buckets`, of one kind alone."""
        return self._buckets_by_kind[kind]

    def cut_in(self, bucket: tuple[int, int]) -> float:
        """How much of the pictures of a bucket is cut off on average, 0 to 1."""
        return self._cut.get(bucket, 0.0)

    @cached_property
    def _cut(self) -> dict[tuple[int, int], float]:
        counts = Counter(picture.bucket for picture in self.used)
        shares: dict[tuple[int, int], float] = {}
        for picture in self.used:
            shares[picture.bucket] = shares.get(picture.bucket, 0.0) + picture.cropped
        return {bucket: share / counts[bucket] for bucket, share in shares.items()}

    # Screens ask for these at every key, and there may be tens of thousands.
    @cached_property
    def _used_by_kind(self) -> dict[Kind, tuple[Picture, ...]]:
        return {kind: tuple(picture for picture in self.of(kind) if picture.used) for kind in KINDS}

    @cached_property
    def _by_kind(self) -> dict[Kind, tuple[Picture, ...]]:
        return {kind: tuple(picture for picture in self.pictures if picture.kind == kind) for kind in KINDS}

    @cached_property
    def _buckets_by_kind(self) -> dict[Kind, Counter[tuple[int, int]]]:
        return {kind: _buckets(self.used_of(kind)) for kind in KINDS}


def scan(
    project: Project,
    settings: Settings,
    progress: Progress | None = None,
    measure: Callable[[Path], Size] = measure,
    read_caption: Callable[[Path, str, str], Caption] = read_caption,
) -> Dataset:
    """Look at every picture of a project; `measure` and `read_caption` may have a memory.

    `progress(done, total)` is called after each picture; what it raises ends the scan.

    Raises UserError: `no-such-folder`, `no-picture-folder`, `no-pictures`, `no-usable-picture`, `not-readable`.
    """
    folders, findings = _folders(project)
    entries: list[tuple[Folder, Path]] = []
    for folder in folders:
        files, odd = picture_files(folder.path)
        findings += odd
        if not files:
            findings.append(problems.empty_folder(folder))
        entries += [(folder, file) for file in files]
    if not any(folder.kind == "train" for folder, _ in entries):
        raise problems.no_pictures(project.image_dir, [f for f in folders if f.kind == "train"], findings)

    left_out, missing = _left_out(entries, project)
    findings += problems.left_out_missing(missing)
    rules = BucketRules.from_settings(settings)
    looked_at = []
    for number, (folder, path) in enumerate(entries, start=1):
        caption = _caption(folder, path, settings, read_caption)
        looked_at.append(_look_at(folder, path, caption, rules, path in left_out, measure))
        if progress is not None:
            progress(number, len(entries))
    pictures = _balanced(_split(looked_at, settings))
    used = [picture for picture in pictures if picture.used]
    if not used:
        raise problems.no_usable_picture(
            project.image_dir, [problem for picture in looked_at for problem in picture.problems]
        )
    buckets = dict(sorted(_buckets(used).items()))
    return Dataset(
        pictures=tuple(pictures),
        folders=tuple(folders),
        buckets=buckets,
        steps=_steps(pictures, buckets, settings),
        findings=(
            *project.notes,
            *findings,
            *problems.summed_up((p.kind, p.problems) for p in pictures if p.path not in left_out),
        ),
    )


def _folders(project: Project) -> tuple[list[Folder], list[Finding]]:
    image_dir, reg_dir = project.image_dir, project.reg_dir
    if not image_dir.is_dir():
        raise UserError(
            "no-such-folder",
            f"{image_dir} does not exist.",
            "Pictures belong into a folder such as img/25_ohwx man, where 25 is the number of repeats.",
        )
    # Somebody may keep the numbered folders in the project itself, beside our own.
    silent: Iterable[str] = OWN_FOLDERS if image_dir == project.path else ()
    train, findings = find_folders(image_dir, "train", project.repeats, silent=silent)
    reg, reg_findings = find_folders(reg_dir, "reg", project.repeats)
    findings += reg_findings
    findings += missing_overrides(project.repeats, [image_dir, reg_dir])
    loose, odd = picture_files(image_dir)
    findings += [finding for finding in odd if finding.code in OTHER_FILES]
    if not train:
        raise problems.no_picture_folder(image_dir, loose)
    if loose:
        findings.append(problems.loose_pictures(image_dir, loose))
    if reg_dir.is_dir() and (loose := picture_files(reg_dir)[0]):
        findings.append(problems.loose_pictures(reg_dir, loose))
    return train + reg, findings


def _left_out(entries: Sequence[tuple[Folder, Path]], project: Project) -> tuple[set[Path], set[str]]:
    """The pictures that project.toml leaves out, and its paths where none is."""
    missing = set(project.left_out)
    if not missing:
        return set(), missing
    relative = {project.relative(path): path for _, path in entries}
    return {relative[path] for path in missing & relative.keys()}, missing - relative.keys()


def _caption(folder: Folder, path: Path, settings: Settings, read: Callable[[Path, str, str], Caption]) -> Caption:
    """The caption of a picture; one that is not UTF-8 is "", with an error that no training goes past."""
    try:
        caption = read(path, settings.caption_extension, folder.class_words)
    except NotUTF8Error as error:
        return Caption("", error.path, problems.not_utf8(error))
    return with_all_lines(caption) if settings.enable_wildcard else replace(caption, lines=())


def _look_at(
    folder: Folder,
    path: Path,
    caption: Caption,
    rules: BucketRules,
    left_out: bool,
    measure: Callable[[Path], Size],
) -> Picture:
    size = measure(path)
    resized = bucket = (0, 0)
    found = []
    if size.problem:
        found.append(problems.broken(path, size.problem))
    else:
        placement = rules.select(size.width, size.height)
        if placement.fits:
            resized, bucket = placement.resized, placement.bucket
        else:
            found.append(problems.too_small(path, size.width, size.height, rules.step))
    unusable = bool(found)
    if size.animated:
        found.append(problems.animated(path))
    if left_out or unusable:
        caption = replace(caption, problem=None)  # nobody trains it
    # Regularisation pictures without captions are the guide's own way: the class words are what they show.
    if caption.problem and not (folder.kind == "reg" and caption.path is None and caption.text):
        found.append(caption.problem)
    return Picture(
        path=path,
        kind=folder.kind,
        folder=folder.name,
        width=size.width,
        height=size.height,
        resized=resized,
        bucket=bucket,
        repeats=0 if left_out or unusable else folder.repeats,
        caption=caption.text,
        caption_path=caption.path,
        left_out=left_out or unusable,
        problems=tuple(found),
        lines=caption.lines,
        alpha=size.alpha,
        turned=size.turned,
    )


def _split(pictures: Sequence[Picture], settings: Settings) -> Sequence[Picture]:
    """The pictures with some of those that would be trained kept out for validation; never regularisation pictures."""
    if not settings.validation_split:
        return pictures
    names = {picture.path: picture.name for picture in pictures if picture.used and picture.kind == "train"}
    kept = kept_out(sorted(names.values()), settings.validation_split, settings.validation_seed)
    return [replace(p, repeats=0, validates=True) if names.get(p.path) in kept else p for p in pictures]


def _balanced(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures with regularisation pictures repeated, or left unused, until they are as many as the others."""
    target = sum(picture.repeats for picture in pictures if picture.kind == "train")
    reg = [picture for picture in pictures if picture.kind == "reg" and not picture.left_out]
    times = {
        picture.path: count
        for picture, count in zip(reg, balance([picture.repeats for picture in reg], target), strict=True)
    }
    return [replace(p, repeats=times[p.path]) if p.path in times else p for p in pictures]


def steps_with(dataset: Dataset, settings: Settings, repeats: Mapping[str, int]) -> Steps:
    """The steps that follow where the training folders, by name, are repeated so often; nothing is read again."""
    own = [replace(p, repeats=repeats.get(p.folder, p.repeats)) if p.used else p for p in dataset.of("train")]
    often = {folder.name: folder.repeats for folder in dataset.folders if folder.kind == "reg"}
    reg = [replace(p, repeats=0 if p.left_out else often[p.folder]) for p in dataset.of("reg")]
    pictures = _balanced([*own, *reg])
    return _steps(pictures, _buckets(picture for picture in pictures if picture.used), settings)


def _buckets(pictures: Iterable[Picture]) -> Counter[tuple[int, int]]:
    counts = Counter[tuple[int, int]]()
    for picture in pictures:
        counts[picture.bucket] += picture.repeats
    return counts


def _steps(pictures: Sequence[Picture], buckets: dict[tuple[int, int], int], settings: Settings) -> Steps:
    by_folder = Counter((p.folder, p.repeats) for p in pictures if p.used and p.kind == "train")
    return count_steps(
        Amounts(
            train=[(count, repeats) for (_, repeats), count in by_folder.items()],
            reg_repeats=[p.repeats for p in pictures if p.kind == "reg" and not p.left_out],
            bucket_counts=buckets,
            validated=sum(p.validates for p in pictures),
        ),
        batch_size=settings.train_batch_size,
        processes=settings.num_processes,
        accumulation=settings.gradient_accumulation_steps,
        epochs=settings.max_train_epochs,
    )
