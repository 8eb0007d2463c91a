"""Kinds of files by how their names end: pictures, those that another package can read, and what is no picture at all.

Apple's HEIC, AVIF and JPEG XL come by packages that teach Pillow to read them. They are used where they are installed,
by the app and by the training alike, since both open pictures through `pictures`.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import features

from engine.plan.errors import Finding, UserError, few, plural

PLAIN = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""What sd-scripts takes everywhere, and also GIF and TIFF."""


@dataclass(frozen=True)
class Plugin:
    """A package by which Pillow reads more. module: what is imported; package: what is installed."""

    endings: frozenset[str]
    module: str
    package: str
    formats: tuple[str, ...]


HEIC = Plugin(frozenset({".heic", ".heif"}), "pillow_heif", "pillow-heif", ("HEIF",))
AVIF = Plugin(frozenset({".avif"}), "pillow_avif", "pillow-avif-plugin", ("AVIF",))
JXL = Plugin(frozenset({".jxl"}), "pillow_jxl", "pillow-jxl-plugin", ("JXL",))
PLUGINS = (HEIC, AVIF, JXL)

_OTHER_PICTURES = frozenset({".jp2", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".svg"})
VIDEOS = frozenset(
    {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".3gp", ".ogv"}
)
ARCHIVES = frozenset({".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst"})


def _readable(plugin: Plugin) -> bool:
    return (plugin is AVIF and features.check("avif") is True) or find_spec(plugin.module) is not None


EXTENSIONS = PLAIN.union(*(plugin.endings for plugin in PLUGINS if _readable(plugin)))
"""In any case: what is read here."""

NOT_READ = frozenset(_OTHER_PICTURES).union(*(plugin.endings for plugin in PLUGINS)) - EXTENSIONS
"""Pictures that are not read here."""


@cache
def plugin_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that packages add; the packages are loaded when this is first asked for."""
    for plugin in PLUGINS:
        if find_spec(plugin.module) is None or (plugin is AVIF and features.check("avif")):
            continue
        with contextlib.suppress(Exception):  # one that does not fit this Pillow: its pictures are then not read
            module = importlib.import_module(plugin.module)
            if plugin is HEIC:
                module.register_heif_opener()
    return tuple(name for plugin in PLUGINS for name in plugin.formats)


def kinds_read() -> str:
    """The kinds that are read here, for a sentence: `.png, .jpg, .webp, .bmp, .gif or .tif`."""
    more = [min(plugin.endings) for plugin in PLUGINS if _readable(plugin)]
    return f"{', '.join(['.png', '.jpg', '.webp', '.bmp', '.gif', *more])} or .tif"


def no_picture_in(folder: Path, names: Iterable[str]) -> UserError:
    """A folder to take pictures from that has none; the names of what is in it may say why."""
    others = sorted(names)
    for endings, finding in _OTHERS.items():
        if found := [name for name in others if Path(name).suffix.lower() in endings]:
            hint = finding(folder, found).hint
            return UserError("no-pictures", f"There is no picture in {folder}, only {few(found)}.", hint)
    return UserError(
        "no-pictures",
        f"There is no picture in {folder}.",
        f"Pictures are {kinds_read()} files, directly in that folder.",
    )


def require_no_file(path: Path, what: str) -> None:
    """Raises UserError `a-video`, `an-archive` or `not-a-folder` where a file is given instead of a folder."""
    if not path.is_file():
        return
    ending = path.suffix.lower()
    if ending in VIDEOS:
        raise UserError("a-video", f"{path} is a video; {what} must be a folder of pictures.", _frames(path.name))
    if ending in ARCHIVES:
        raise UserError("an-archive", f"{path} is an archive; {what} must be a folder of pictures.", _UNPACK)
    if ending in EXTENSIONS:
        raise UserError("not-a-folder", f"{path} is a single picture; {what} must be a folder.", "Give its folder.")
    raise UserError("not-a-folder", f"{path} is a file; {what} must be a folder.")


def of_other_kinds(folder: Path, names: Iterable[str]) -> list[Finding]:
    """Findings about files in a folder of pictures that are none that can be used."""
    others = sorted(names)
    findings = []
    for endings, finding in _OTHERS.items():
        if found := [name for name in others if Path(name).suffix.lower() in endings]:
            findings.append(finding(folder, found))
    return findings


def other_kind(name: str) -> bool:
    """Whether `of_other_kinds` has something to say of a file of this name."""
    ending = Path(name).suffix.lower()
    return any(ending in endings for endings in _OTHERS)


OTHER_FILES = frozenset({"picture-kind", "video-file", "archive-file"})
"""The codes of those findings."""

_UNPACK = "Unpack it, and give the folder that comes out."


def _frames(name: str) -> str:
    return (
        f'Take single pictures out of it first, one a second: ffmpeg -i "{name}" -vf fps=1 frame_%04d.png. Keep 20 to '
        "30 that are sharp and differ."
    )


def _videos(folder: Path, names: list[str]) -> Finding:
    return Finding(
        "video-file",
        f"{plural(len(names), 'video')} in {folder.name} {'is' if len(names) == 1 else 'are'} not used: {few(names)}.",
        _frames(names[0]),
    )


def _archives(folder: Path, names: list[str]) -> Finding:
    return Finding(
        "archive-file",
        f"{plural(len(names), 'archive')} in {folder.name} {'is' if len(names) == 1 else 'are'} not used: "
        f"{few(names)}.",
        f"Unpack {'it' if len(names) == 1 else 'them'} into {folder.name}: only pictures that lie directly there are "
        "trained.",
    )


def _not_read(folder: Path, names: list[str]) -> Finding:
    wanted = sorted({plugin.package for plugin in PLUGINS for name in names if Path(name).suffix.lower() in
                     plugin.endings})  # fmt: skip
    by = f", or install what reads them: pip install {' '.join(wanted)}" if wanted else ""
    return Finding(
        "picture-kind",
        f"{plural(len(names), 'picture')} in {folder.name} {'is' if len(names) == 1 else 'are'} of a kind that is not "
        f"read here, and not used: {few(names)}.",
        f"Save them as PNG or JPEG{by}.",
    )


_OTHERS = {NOT_READ: _not_read, VIDEOS: _videos, ARCHIVES: _archives}
