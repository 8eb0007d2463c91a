"""The folder layout of sd-scripts: which folders hold pictures, and how often each picture is repeated.

Names are read as `config_util.generate_dreambooth_subsets_config_by_subdirs` does: `25_ohwx man` means 25 repeats and
the class words "ohwx man", which only stand in for captions that are missing. Folders are never renamed: repeats that
were changed stand in project.toml and win over the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan.errors import Finding, UserError
from engine.plan.files import reading_errors

Kind = Literal["train", "reg"]
KINDS: tuple[Kind, ...] = ("train", "reg")

OWN_FOLDERS = frozenset({"cache", "log", "model", "reg", "runs"})
"""Folders of a project that stand beside the numbered ones where somebody keeps those without an img folder."""


@dataclass(frozen=True)
class Folder:
    """One numbered folder. repeats: at least 1, from project.toml or the name; class_words: what follows the number."""

    path: Path
    name: str
    kind: Kind
    repeats: int
    class_words: str


def parse_name(name: str) -> tuple[int, str] | None:
    """(repeats, class words) of a folder name such as `25_ohwx man`; None where it does not begin with a number.

    Words keep their own underscores: `10_blue_eyes cat` has the class words "blue_eyes cat".
    """
    number, _, words = name.partition("_")
    # int() alone would also read " 25", "+25", "١" and thousands of digits.
    if not (number.removeprefix("-").isascii() and number.removeprefix("-").isdecimal() and len(number) < 10):
        return None
    return int(number), words


def split_class_words(words: str) -> tuple[str, str]:
    """(trigger, class) that a folder name suggests: `ohwx man` → ("ohwx", "man"), `ohwx` → ("ohwx", "")."""
    trigger, _, class_name = words.strip().partition(" ")
    return trigger, class_name.strip()


def child_folder(parent: Path, name: str) -> Path | None:
    """The folder `name` in `parent` in any case (img, Img, IMG), the exact spelling first; None where there is none."""
    exact = parent / name
    if exact.is_dir():
        return exact
    return next((p for p in subfolders(parent) if p.name.casefold() == name.casefold()), None)


def subfolders(parent: Path) -> list[Path]:
    """The folders in `parent`, sorted by name, without hidden ones; empty where `parent` is no folder.

    Raises UserError `not-readable`.
    """
    if not parent.is_dir():
        return []
    with reading_errors(parent):
        return sorted(p for p in parent.iterdir() if not p.name.startswith(".") and p.is_dir())


def numbered_folders(parent: Path) -> list[Path]:
    """The folders in `parent` whose names begin with a number of repeats."""
    return [p for p in subfolders(parent) if parse_name(p.name) is not None]


def find_folders(
    parent: Path, kind: Kind, repeats: Mapping[str, int], *, silent: Iterable[str] = ()
) -> tuple[list[Folder], list[Finding]]:
    """The folders of pictures in `parent`, sorted, and what is to be said about those that are not used.

    repeats: what project.toml says, by folder name. silent: folders (any case) to pass over without a word.
    """
    folders, findings = [], []
    quiet = {name.casefold() for name in silent}
    for path in subfolders(parent):
        parsed = parse_name(path.name)
        override = repeats.get(path.name)
        if parsed is None and override is None:
            if path.name.casefold() not in quiet:
                findings.append(_unnumbered(path))
            continue
        count, words = parsed or (0, path.name)
        count = count if override is None else override
        if count < 1:
            findings.append(
                Finding(
                    "folder-without-repeats",
                    f'The folder "{path.name}" is not used: its number of repeats is {count}.',
                    "Give it 1 or more repeats in project.toml to use it.",
                )
            )
            continue
        folders.append(Folder(path, path.name, kind, count, words.strip()))
    return folders, findings


def missing_overrides(repeats: Mapping[str, int], parents: Iterable[Path]) -> list[Finding]:
    """Findings for folders that project.toml speaks of and that are not there."""
    there = {path.name for parent in parents for path in subfolders(parent)}
    return [
        Finding(
            "folder-not-found",
            f'project.toml gives repeats for the folder "{name}", which is not there.',
            "Was it renamed? Correct the name in project.toml.",
        )
        for name in repeats
        if name not in there
    ]


def require_folder(path: Path, what: str) -> None:
    """Raises UserError `no-such-folder` or `not-a-folder` unless `path` is a folder."""
    if path.is_dir():
        return
    if path.exists():
        raise UserError("not-a-folder", f"{path} is a file; {what} must be a folder.")
    raise UserError("no-such-folder", f"{path} does not exist.", "Check the spelling of the path.")


def _unnumbered(path: Path) -> Finding:
    return Finding(
        "folder-ignored",
        f'The folder "{path.name}" is not used: its name does not begin with a number of repeats.',
        f'Rename it, for example to "10_{path.name}", or give it num_repeats in project.toml.',
    )
