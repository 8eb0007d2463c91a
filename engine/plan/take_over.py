"""Bringing the pictures of a folder into a project that is there already, with the captions beside them.

Nothing is ever overwritten, and the folder they come from is only read. Each file appears whole or not at all, so a
disk that is full half-way, or somebody who stops it, leaves nothing broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.plan.errors import Finding, UserError, are, few, inert, plural
from engine.plan.files import reading_errors
from engine.plan.folders import Kind, find_folders, require_folder
from engine.plan.option_values import is_plain_name
from engine.plan.picture_copies import bring
from engine.plan.picture_kinds import OTHER_FILES, no_picture_in, require_no_file
from engine.plan.pictures import measure, picture_files
from engine.plan.project import Project
from engine.plan.writing import writing

USUAL_REPEATS = 25  # the guide's
NAME_CHARACTERS = 40  # of a file that is named in a sentence


@dataclass
class Taken:
    """What has been brought into `folder`: pictures added (those that got another name because theirs was taken among
    them), pictures that were there already, and captions; the names of pictures that cannot be read, which come along
    only where `keeps_broken`; and what lies among them that is no picture, or of a kind that is not read."""

    folder: Path
    added: int = 0
    skipped: int = 0
    renamed: int = 0
    captions: int = 0
    broken: tuple[str, ...] = ()
    keeps_broken: bool = True
    others: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        captions = f" and {plural(self.captions, 'caption')}" if self.captions else ""
        skipped = f" {self.skipped:,} were here already." if self.skipped else ""
        others = "".join(f" {finding.message}" for finding in self.others)
        return f"{plural(self.added, 'picture')}{captions} taken over.{skipped}{self._unreadable}{others}"

    @property
    def _unreadable(self) -> str:
        if not self.broken:
            return ""
        what = "of them cannot be read" if self.keeps_broken else "cannot be read"
        verb = are(len(self.broken))
        then = f"{verb} not trained" if self.keeps_broken else f"{verb} not taken over"
        names = few(inert(name, NAME_CHARACTERS) for name in self.broken)
        return f" {len(self.broken):,} {what} and {then}: {names}."


def take_over(
    project: Project,
    source: Path,
    kind: Kind,
    *,
    link: bool = False,
    repeats: int = USUAL_REPEATS,
    class_name: str = "",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Taken:
    """Copy (or link) the pictures directly in `source` into the project's pictures or regularisation pictures.

    Training pictures go into the first folder that is trained, else into a new one of `repeats` and the project's
    words; regularisation pictures into the first folder of the class that is said, or of the project's, else into a new
    one of 1 and the class.
    A training picture that cannot be read comes along, for the look through the pictures asks for a whole copy in its
    place; a regularisation picture is one of many, and stays where it is.
    `progress(done, total)` after each picture; what was taken before `cancelled()` stays. Raises UserError:
    `no-such-folder`, `not-a-folder`, `a-video`, `an-archive`, `not-readable`,
    `no-pictures`, `own-folder`, `bad-name`, `bad-value`, `no-links`,
    `disk-full`, `not-writable`.
    """
    require_no_file(source, "what is taken over")
    require_folder(source, "a folder of pictures")
    target = _target(project, kind, repeats, class_name.strip() or project.class_name.strip())
    _require_outside(project, source, target)
    pictures, odd = picture_files(source)
    if not pictures:
        raise no_picture_in(source, [path.name for path in source.iterdir()])
    taken = Taken(
        target, keeps_broken=kind == "train", others=tuple(finding for finding in odd if finding.code in OTHER_FILES)
    )
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
        for done, picture in enumerate(pictures, 1):
            if cancelled():
                break
            broken = bool(measure(picture).problem)
            taken.broken += (picture.name,) if broken else ()
            if not broken or kind == "train":
                brought = bring(picture, target, link=link)
                taken.added += brought.added
                taken.skipped += not brought.added
                taken.renamed += brought.renamed
                taken.captions += brought.captions
            if progress is not None:
                progress(done, len(pictures))
    return taken


def _target(project: Project, kind: Kind, repeats: int, class_name: str) -> Path:
    """The folder that the pictures go into; it may not exist yet."""
    parent = project.image_dir if kind == "train" else project.reg_dir
    words = f"{project.trigger} {class_name}".strip() if kind == "train" else class_name
    # Folders of 0 repeats are not among them: what lands there is not trained.
    folders = find_folders(parent, kind, project.repeats)[0]
    if kind == "reg" and class_name:
        folders = [folder for folder in folders if folder.class_words == class_name]
    if folders:
        return folders[0].path
    if not words:
        raise _no_trigger() if kind == "train" else _no_class()
    if not is_plain_name(words):
        raise UserError("bad-name", f'"{words}" cannot be part of a folder name.', "Use letters, digits and spaces.")
    if not 1 <= repeats < 10**9:
        raise UserError("bad-value", f"The number of repeats must be 1 or more, not {repeats}.")
    return parent / f"{repeats if kind == 'train' else 1}_{words}"


def _no_trigger() -> UserError:
    return UserError(
        "bad-name",
        "The project has no trigger word to name a folder of pictures after.",
        "Choose a made-up word the model does not know, such as ohwx.",
    )


def _no_class() -> UserError:
    return UserError(
        "bad-name",
        "Regularisation pictures show a class, and the project has none.",
        "Say first what they show, for example man.",
    )


def _require_outside(project: Project, source: Path, target: Path) -> None:
    """The project's own pictures are used as they are; copied from one of its folders to another, they count twice."""
    with reading_errors(source):
        place = source.resolve(strict=True)
    own = (project.path, project.image_dir, project.reg_dir, target)  # each may be a link to another place
    if any(place.is_relative_to(folder.resolve()) for folder in own):
        raise UserError(
            "own-folder",
            f"{source} is one of the project's own folders.",
            f"Choose one outside of the project; a picture inside it is used once it lies in {target}.",
        )
