"""The words for what can be wrong with folders and pictures, and how many alike become one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.plan.captions import NotUTF8Error
from engine.plan.errors import Finding, UserError, are, few, plural
from engine.plan.folders import Folder, Kind
from engine.plan.picture_kinds import OTHER_FILES, kinds_read

_LAYOUT = 'Put them into a folder such as "25_ohwx man", where 25 is the number of repeats.'

NAMED = 10
"""So many broken pictures or captions are named in one sentence; `check --json` names every one."""

# How the sentence goes for several pictures with the same problem. {} is the number of pictures.
_SEVERAL = {
    "broken-picture": "{} cannot be read and are left out",
    "picture-too-small": "{} are too small or too narrow to be trained and are left out",
    "picture-animated": "{} are animated, and only the first frame of each is used",
    "caption-missing": "{} have no caption, so the words of their folder are used",
    "caption-empty": "{} have an empty caption file, so the words of their folder are used",
    "caption-blank": "{} have a caption file whose first line is blank, so their caption is empty",
    "caption-lines": "{} have a caption of several lines, of which only the first is used",
    "caption-unreadable": "{} have a caption that cannot be read",
    "caption-not-utf8": "{} have a caption that is not UTF-8",
}


# What mends several of them, where that is more than what mends one.
_MEND_SEVERAL = {
    "broken-picture": "Replace them with whole copies, or delete them.",
    "picture-animated": "Save the frames that you want as pictures of their own.",
    "caption-empty": "Describe each picture in one line.",
    "caption-blank": "Remove the blank lines.",
    "caption-lines": "Put everything on one line in each.",
    "caption-not-utf8": (
        'Save them again with the encoding "UTF-8", or open one at step 4, Captions, which can read all in another way.'
    ),
}


@dataclass(frozen=True)
class Named(Finding):
    """`named`: the file, for the sentence about several."""

    named: str = ""


def broken(path: Path, why: str) -> Finding:
    """A picture that cannot be read."""
    return Named(
        "broken-picture",
        f"{path.name} in {path.parent.name} cannot be read ({why}); it is left out.",
        "Replace it with a whole copy, or delete it.",
        named=f"{path.parent.name}/{path.name}",
    )


def too_small(path: Path, width: int, height: int, step: int) -> Finding:
    """A picture with a side below the smallest bucket's."""
    return Finding(
        "picture-too-small",
        f"{path.name} in {path.parent.name} has {width}×{height} pixels, too few for training; it is left out.",
        f"At the size of training, each side needs at least {step} pixels.",
    )


def animated(path: Path) -> Finding:
    """A picture of several frames."""
    return Finding(
        "picture-animated",
        f"{path.name} in {path.parent.name} is animated; only its first frame is used.",
        "Save the frame that you want as a picture of its own.",
        level="note",
    )


def not_utf8(error: NotUTF8Error) -> Finding:
    """A caption in another encoding; nobody knows what it says, and kohya's scripts end with a traceback there."""
    named = f"{error.path.parent.name}/{error.path.name} (byte {error.byte})"
    return Named(error.code, error.message, error.hint, level="error", overridable=False, named=named)


def empty_folder(folder: Folder) -> Finding:
    """A numbered folder without pictures."""
    return Finding("folder-empty", f'The folder "{folder.name}" holds no pictures.', level="note")


def loose_pictures(parent: Path, pictures: Sequence[Path]) -> Finding:
    """Pictures beside the numbered folders instead of in them."""
    return Finding(
        "pictures-outside-folders",
        f"{plural(len(pictures), 'picture')} directly in {parent.name} {are(len(pictures))} not used.",
        _LAYOUT,
    )


def left_out_missing(names: Iterable[str]) -> list[Finding]:
    """Pictures that project.toml leaves out and that are not there."""
    names = sorted(names)
    if not names:
        return []
    return [
        Finding(
            "left-out-not-found",
            f"project.toml leaves out {plural(len(names), 'picture')} that {are(len(names))} not there: {few(names)}.",
            level="note",
        )
    ]


def no_picture_folder(image_dir: Path, loose: Sequence[Path]) -> UserError:
    """No folder in img has a number of repeats."""
    if loose:
        there = f"{plural(len(loose), 'picture')} directly in it, but no numbered folder"
        return UserError("no-picture-folder", f"{image_dir} has {there}.", _LAYOUT)
    return UserError(
        "no-picture-folder", f"{image_dir} has no folder of pictures.", 'Make one in it, such as "25_ohwx man".'
    )


def no_pictures(image_dir: Path, folders: Sequence[Folder], found: Sequence[Finding]) -> UserError:
    """The numbered folders are empty, but for what was found there that is no picture."""
    other = next((finding for finding in found if finding.code in OTHER_FILES), None)
    if other is not None:
        return UserError("no-pictures", f"There is no picture in {image_dir}. {other.message}", other.hint)
    names = few(f'"{folder.name}"' for folder in folders)
    return UserError(
        "no-pictures",
        f"There is no picture in {image_dir} ({names}).",
        f"Pictures are {kinds_read()} files, directly in the numbered folder.",
    )


def no_usable_picture(image_dir: Path, found: Sequence[Finding]) -> UserError:
    """All pictures are left out, broken or too small."""
    unusable = (finding for finding in found if finding.code in ("broken-picture", "picture-too-small"))
    first = next((f" The first problem: {finding.message}" for finding in unusable), "")
    return UserError(
        "no-usable-picture",
        f"No usable picture is left in {image_dir}.{first}",
        "Add pictures, or take some that are left out back in.",
    )


def summed_up(pictures: Iterable[tuple[Kind, Sequence[Finding]]]) -> list[Finding]:
    """One line for each kind of problem, instead of one for each picture."""
    groups: dict[tuple[str, Kind], list[Finding]] = {}
    for kind, found in pictures:
        for finding in found:
            groups.setdefault((finding.code, kind), []).append(finding)
    return [_several(code, kind, alike) if len(alike) > 1 else alike[0] for (code, kind), alike in groups.items()]


def _several(code: str, kind: Kind, alike: Sequence[Finding]) -> Finding:
    first = alike[0]
    what = plural(len(alike), "regularisation picture" if kind == "reg" else "picture")
    level = "warning" if any(finding.level == "warning" for finding in alike) else first.level
    hint = _MEND_SEVERAL.get(code, first.hint)
    if names := list(dict.fromkeys(finding.named for finding in alike if isinstance(finding, Named))):
        words = f"{_SEVERAL[code].format(what)}: {few(names, NAMED)}."
        hint = first.hint if len(names) == 1 else hint  # pictures that share a caption
    else:
        words = f"{_SEVERAL[code].format(what)}. The first: {first.message}"
    return Finding(code, words, hint, level=level, overridable=first.overridable)
