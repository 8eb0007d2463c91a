"""How many regularisation pictures a project needs, of which classes, and where they go.

In an epoch as many are seen as there are training pictures with their repeats, whatever lies on the disk: fewer are
repeated, more stay unused (sd-scripts: `DreamBoothDataset.__init__`, here `steps.balance`). The folders of all classes
are balanced together, so what becomes of one class depends on what the others have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.plan.captions import has_word
from engine.plan.dataset import Dataset, Picture
from engine.plan.errors import UserError, are, plural
from engine.plan.folders import find_folders
from engine.plan.option_values import is_plain_name
from engine.plan.project import Project
from engine.plan.regularising import ALL, ENOUGH, RegularisingOptions
from engine.plan.steps import balance
from engine.plan.subjects import Subjects

TIMES_ENOUGH = 4
"""So often an epoch may a regularisation picture be seen and still be one of many."""
LEAST_ENOUGH = 200
"""Fewer show too little of a class, however small the target is; the target itself is enough in any case."""


@dataclass(frozen=True)
class Need:
    """What one class needs. folder: where new pictures go; it may not exist yet.

    sums: (pictures, repeats) of its training folders, those kept for validation or left out not counted. there: the
    repeats that their folders give to the pictures that are here and usable, in order. here: how many of these lie in
    `folder` itself. left_out: how many more are here that the user left out. shared: where there are other classes, how
    often each of those that are here is really seen in an epoch. homes: the names of their folders, in the same order.
    """

    class_name: str
    folder: Path
    sums: tuple[tuple[int, int], ...]
    there: tuple[int, ...] = ()
    here: int = 0
    left_out: int = 0
    shared: tuple[int, ...] | None = None
    homes: tuple[str, ...] = ()

    @property
    def times(self) -> tuple[int, ...]:
        """How often each of those that are here is seen in an epoch."""
        return tuple(balance(self.there, self.target)) if self.shared is None else self.shared

    @property
    def target(self) -> int:
        """How many are to be seen in an epoch: as many as of its own pictures."""
        return sum(pictures * repeats for pictures, repeats in self.sums)

    @property
    def enough(self) -> int:
        """So many that none is seen more than TIMES_ENOUGH times an epoch, and never more than the target."""
        return enough_of(self.target)

    def wanted(self, count: str) -> int:
        """How many there are to be in all, for the option `count`."""
        return {ENOUGH: self.enough, ALL: self.target}.get(count) or int(count)

    def missing(self, count: str) -> int:
        return max(0, self.wanted(count) - len(self.there))


def enough_of(target: int) -> int:
    """How many pictures do for a target, see `Need.enough`."""
    return min(target, max(LEAST_ENOUGH, -(-target // TIMES_ENOUGH)))


def needs(project: Project, dataset: Dataset) -> list[Need]:
    """What each class of a project needs, in the order of its training folders.

    Raises UserError `bad-name` where a class is not named, or its name cannot be part of a folder's.
    """
    pictures: dict[str, dict[str, list[Picture]]] = {}
    training = {folder.name: folder for folder in dataset.folders if folder.kind == "train"}
    used = dataset.used_of("train")
    folders_used = {picture.folder for picture in used}
    subjects = Subjects.of(project.trigger, project.class_name, (training[name].path for name in folders_used))
    for picture in used:
        class_name = subjects.of_folder(training[picture.folder].path).class_name
        pictures.setdefault(class_name, {}).setdefault(picture.folder, []).append(picture)
    there: dict[str, list[Picture]] = {name: [] for name in pictures}
    left_out = dict.fromkeys(pictures, 0)
    homes = {folder.name: folder for folder in dataset.folders if folder.kind == "reg"}
    for picture in dataset.of("reg"):
        if pictures and (not picture.left_out or picture.bucket[0]):
            of = _nearest(project, list(pictures), homes[picture.folder].class_words)
            if picture.left_out:
                left_out[of] += 1
            else:
                there[of].append(picture)
    several = len(pictures) > 1 and any(there.values())
    found = []
    for class_name, folders in pictures.items():
        home = folder_for(project, class_name)
        mine = there[class_name]
        found.append(
            Need(
                class_name,
                home,
                tuple((len(entries), training[name].repeats) for name, entries in folders.items()),
                tuple(homes[picture.folder].repeats for picture in mine),
                sum(picture.path.parent == home for picture in mine),
                left_out[class_name],
                tuple(picture.repeats for picture in mine) if several else None,
                tuple(picture.folder for picture in mine),
            )
        )
    return found


def folder_for(project: Project, class_name: str) -> Path:
    """The folder that pictures of a class go into: the one there is, else `reg/1_CLASS`.

    Raises UserError `bad-name`.
    """
    class_name = class_name.strip()
    if not class_name:
        raise UserError(
            "bad-name",
            "Regularisation pictures show a class, and the project has none.",
            "Say first what your subject is in one plain word, for example man.",
        )
    if not is_plain_name(class_name):
        raise UserError(
            "bad-name", f'"{class_name}" cannot be part of a folder name.', "Use letters, digits and spaces."
        )
    for folder in find_folders(project.reg_dir, "reg", project.repeats)[0]:
        if folder.class_words == class_name:
            return folder.path
    return project.reg_dir / f"1_{class_name}"


def classes_of(project: Project) -> tuple[str, ...]:
    """The classes that its subjects have, the project's own first. Raises UserError `not-readable`."""
    names = (subject.class_name.strip() for subject in Subjects.of_project(project).all)
    return tuple(dict.fromkeys(name for name in names if name))


def require_class(project: Project, class_name: str) -> None:
    """Raises UserError `bad-name` where it is the class of no subject: pictures of it would be taken for another's."""
    known = classes_of(project)
    if known and class_name.strip() not in known:
        raise UserError(
            "bad-name",
            f'"{class_name}" is not a class of this project.',
            f"Its pictures show {' and '.join(known)}: say one of these words.",
        )


def _nearest(project: Project, classes: Sequence[str], words: str) -> str:
    """The class that a regularisation folder belongs to. One of another name is not lost: its pictures are seen too."""
    exact = [name for name in classes if name == words]
    named = [name for name in classes if name and has_word(words, name)]
    usual = [name for name in classes if name == project.class_name]
    return (exact or named or usual or classes)[0]


# ------------------------------------------------------------------------------------------------------------- in words
def arithmetic(need: Need) -> str:
    """`30 pictures × 25 repeats = 750`."""
    sums = " + ".join(f"{plural(count, 'picture')} × {plural(times, 'repeat')}" for count, times in need.sums)
    return f"{sums} = {need.target:,}"


def use_of(times: Sequence[int]) -> str:
    """What becomes of pictures that are seen so often in an epoch: `each used 3 to 4 times`, `2 of them not used`."""
    used = [count for count in times if count]
    if not used:
        return "not used"
    if unused := len(times) - len(used):
        return f"{unused:,} of them not used"
    low, high = min(used), max(used)
    if high == 1:
        return "each used once"
    return f"each used {low} times" if low == high else f"each used {low} to {high} times"


def differs(need: Need) -> bool:
    """Whether more or fewer of a class are seen than of its own pictures, since other classes have theirs."""
    return need.shared is not None and sum(need.shared) != need.target


def what_is_here(need: Need) -> str:
    """`200 are here, each used 3 to 4 times.` Of those that are left out how many."""
    there, left_out = len(need.there), need.left_out
    if there:
        more = f" {left_out:,} more {are(left_out)} left out." if left_out else ""
        return f"{there:,} {are(there)} here, {use_of(need.times)}.{more}"
    return f"None are used; {left_out:,} here {are(left_out)} left out." if left_out else "None are here."


def what_is_enough(need: Need) -> str:
    """`200 are enough, each used 3 to 4 times`; how often is not known where other classes have theirs."""
    use = "" if need.shared is not None else f", {use_of(balance([1] * need.enough, need.target))}"
    return f"{need.enough:,} are enough{use}"


def explanation(need: Need) -> list[str]:
    """How many and why, as sentences: the target, what is there, what is enough."""
    kind = f"regularisation pictures ({need.class_name})"
    if differs(need):
        seen = sum(need.times)
        why = f"so many {kind} should be seen in an epoch, one for each of your own; {seen:,} {are(seen)}."
    else:
        why = f"in an epoch that many {kind} are seen, one for each of your own."
    said = [f"{arithmetic(need)}: {why}", what_is_here(need)]
    if len(need.there) < need.enough:
        if need.enough < need.target:
            said.append(f"{what_is_enough(need)}; the guide has all {need.target:,}.")
        else:
            said.append(f"{need.enough:,} are needed, so that none is repeated.")
    return said


def as_object(need: Need, options: RegularisingOptions) -> dict[str, object]:
    """For `--json`."""
    times = need.times
    return {
        "class": need.class_name,
        "folder": need.folder,
        "target": need.target,
        "enough": need.enough,
        "there": len(need.there),
        "seen": sum(times),
        "wanted": need.wanted(options.count),
        "missing": need.missing(options.count),
        "used": [min(times, default=0), max(times, default=0)],
        "unused": sum(count == 0 for count in times),
        "explanation": " ".join(explanation(need)),
    }
